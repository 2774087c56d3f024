//! The derive macro of `burn-npy`. Use it through that crate, which documents it at its trait
//! `Batch`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, Type};

/// Implements `Batch` for a struct whose fields are tensors: each gets the column of its name.
///
/// * `#[batch(column = "..")]` on a field names another column.
/// * `#[batch(file_rows)]` on a field of the type `Vec<usize>` gives it the numbers of the rows.
/// * `#[batch(default)]` on a field that is not in the data gives it its `Default`.
#[proc_macro_derive(Batch, attributes(batch))]
pub fn derive_batch(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// What a field gets.
enum Content {
    /// The column of a name.
    Column(LitStr),
    /// The numbers of the rows.
    Rows,
    /// Its `Default`.
    Default,
}

/// The most tensors that a batch may have.
const MAX_TENSORS: usize = 12;

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let no_attribute = |attribute: &Attribute| {
        let message = "`#[batch(..)]` belongs to a field, not to the struct";
        Error::new(attribute.span(), message)
    };
    if let Some(attribute) = input.attrs.iter().find(|it| it.path().is_ident("batch")) {
        return Err(no_attribute(attribute));
    }
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(&fields.named),
            Fields::Unnamed(_) => Err(
                "the fields of a batch need names, since a name says which column a field gets: \
                 write `struct Digits { images: Tensor<3>, labels: Tensor<1, Int> }`",
            ),
            Fields::Unit => Err("a batch needs at least one field that is a tensor"),
        },
        Data::Enum(_) | Data::Union(_) => Err("a batch is a struct whose fields are tensors"),
    };
    let fields = named.map_err(|message| Error::new(input.ident.span(), message))?;

    let mut tensors: Vec<(&Ident, &Type, LitStr)> = Vec::new();
    let mut rows: Option<(&Ident, &Type)> = None;
    let mut defaults: Vec<&Ident> = Vec::new();
    let mut errors: Option<Error> = None;
    let mut fail = |error: Error| match &mut errors {
        Some(errors) => errors.combine(error),
        None => errors = Some(error),
    };
    for field in fields {
        let Some(ident) = &field.ident else { continue };
        match content(field, ident) {
            Ok(Content::Column(column)) => {
                let same = tensors.iter().find(|it| it.2.value() == column.value());
                if let Some((other, ..)) = same {
                    let message = format!(
                        "`{other}` has the column {:?} already; name another one with \
                         `#[batch(column = \"..\")]`",
                        column.value()
                    );
                    fail(Error::new(column.span(), message));
                }
                tensors.push((ident, &field.ty, column));
            }
            Ok(Content::Rows) => {
                if let Some((other, _)) = rows {
                    let message = format!("`{other}` has the numbers of the rows already");
                    fail(Error::new(ident.span(), message));
                }
                rows = Some((ident, &field.ty));
            }
            Ok(Content::Default) => defaults.push(ident),
            Err(error) => fail(error),
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    if tensors.is_empty() {
        let message = "a batch needs at least one field that is a tensor";
        return Err(Error::new(input.ident.span(), message));
    }
    if let Some((ident, ..)) = tensors.get(MAX_TENSORS) {
        let message = format!(
            "a batch has up to {MAX_TENSORS} tensors, and this is one more: put columns that are \
             alike into one array with an axis more, and they become one tensor"
        );
        return Err(Error::new(ident.span(), message));
    }

    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let idents: Vec<_> = tensors.iter().map(|(ident, ..)| *ident).collect();
    let columns = tensors.iter().map(|(.., column)| column);
    let types = tensors.iter().map(|(_, ty, _)| ty);
    // An error about the type of a field points at the field. A type parameter is not known here.
    let asserts = input.generics.params.is_empty().then(|| {
        let tensors = tensors
            .iter()
            .map(|(_, ty, _)| quote_spanned!(ty.span()=> is_tensor::<#ty>();));
        quote! {
            const _: fn() = || {
                fn is_tensor<T: ::burn_npy::Tensors>() {}
                #(#tensors)*
            };
        }
    });
    let given = rows.map(|(ident, ty)| {
        let set = quote_spanned!(ty.span()=> self.#ident = rows;);
        quote! {
            const NEEDS_FILE_ROWS: ::core::primitive::bool = true;

            fn set_file_rows(&mut self, rows: ::std::vec::Vec<::core::primitive::usize>) {
                #set
            }
        }
    });
    let defaults = rows.map(|(ident, _)| ident).into_iter().chain(defaults);
    let defaults = defaults.map(|ident| quote!(#ident: ::std::default::Default::default()));
    Ok(quote! {
        #asserts

        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics ::burn_npy::Batch for #name #type_generics #where_clause {
            type Tensors = (#(#types,)*);

            const COLUMNS: ::std::option::Option<&'static [&'static ::core::primitive::str]> =
                ::std::option::Option::Some(&[#(#columns),*]);

            fn from_tensors((#(#idents,)*): Self::Tensors) -> Self {
                Self { #(#idents,)* #(#defaults,)* }
            }

            #given
        }
    })
}

/// What the attributes of a field say.
fn content(field: &Field, ident: &Ident) -> Result<Content> {
    let mut said: Option<Content> = None;
    for attribute in &field.attrs {
        if !attribute.path().is_ident("batch") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            let content = if meta.path.is_ident("column") {
                let text = "`column` needs the name of a column: `#[batch(column = \"labels\")]`";
                let value = meta.value().map_err(|_| meta.error(text))?;
                Content::Column(value.parse().map_err(|_| meta.error(text))?)
            } else if meta.path.is_ident("file_rows") {
                Content::Rows
            } else if meta.path.is_ident("default") {
                Content::Default
            } else {
                return Err(meta.error(
                    "there is `column = \"..\"` for the name of the column, `file_rows` for the \
                     numbers of the rows, and `default` for a field that is not in the data",
                ));
            };
            if said.replace(content).is_some() {
                return Err(meta.error("a field has one of `column`, `file_rows` and `default`"));
            }
            Ok(())
        })?;
    }
    let of_the_field = || Content::Column(column_of(ident));
    Ok(said.unwrap_or_else(of_the_field))
}

/// The name of a field, without the `r#` of a keyword.
fn column_of(ident: &Ident) -> LitStr {
    let name = ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    LitStr::new(name, Span::call_site().located_at(ident.span()))
}
