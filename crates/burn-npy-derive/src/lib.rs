//! The derive macro of `burn-npy`. Use it through that crate, which documents it at its trait
//! `Batch`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, Lit, LitStr, Result, Type};

/// Implements `Batch` for a struct whose fields are tensors: each gets the column of its name.
///
/// * `#[batch(column = "..")]` on a field names another column.
/// * `#[batch(pad = -100)]` on a field of rows of any length gives what they do not fill a number.
/// * `#[batch(lengths = "..")]` on a field gives it the lengths of such rows of a column.
/// * `#[batch(mask_pad = "..")]` on a field gives it true where such rows of a column are padded.
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
    /// The column of a name, and what its rows are padded with.
    Column(LitStr, Option<f64>),
    /// The lengths of the rows of a column.
    Lengths(LitStr),
    /// Where the rows of a column are padded.
    MaskPad(LitStr),
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

    let mut tensors: Vec<(&Ident, &Type, TokenStream)> = Vec::new();
    let mut columns: Vec<(&Ident, String)> = Vec::new();
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
            Ok(Content::Column(column, padding)) => {
                let same = columns.iter().find(|it| it.1 == column.value());
                if let Some((other, _)) = same {
                    let message = format!(
                        "`{other}` has the column {:?} already; name another one with \
                         `#[batch(column = \"..\")]`",
                        column.value()
                    );
                    fail(Error::new(column.span(), message));
                }
                columns.push((ident, column.value()));
                let content = match padding {
                    Some(padding) => quote!(padded(#column, #padding)),
                    None => quote!(column(#column)),
                };
                tensors.push((ident, &field.ty, content));
            }
            Ok(Content::Lengths(column)) => {
                tensors.push((ident, &field.ty, quote!(lengths(#column))));
            }
            Ok(Content::MaskPad(column)) => {
                tensors.push((ident, &field.ty, quote!(mask_pad(#column))));
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
    let contents = tensors.iter().map(|(.., content)| content);
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

            const FIELDS: ::std::option::Option<&'static [::burn_npy::BatchField]> =
                ::std::option::Option::Some(&[#(::burn_npy::BatchField::#contents),*]);

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
    let mut padding: Option<f64> = None;
    for attribute in &field.attrs {
        if !attribute.path().is_ident("batch") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("pad") {
                return match padding.replace(number(&meta)?) {
                    Some(_) => Err(meta.error("a field has one `pad`")),
                    None => Ok(()),
                };
            }
            let content = if meta.path.is_ident("column") {
                Content::Column(column(&meta, "column")?, None)
            } else if meta.path.is_ident("lengths") {
                Content::Lengths(column(&meta, "lengths")?)
            } else if meta.path.is_ident("mask_pad") {
                Content::MaskPad(column(&meta, "mask_pad")?)
            } else if meta.path.is_ident("file_rows") {
                Content::Rows
            } else if meta.path.is_ident("default") {
                Content::Default
            } else {
                return Err(meta.error(
                    "there is `column = \"..\"` for the name of the column, `file_rows` for the \
                     numbers of the rows, and `default` for a field that is not in the data; for \
                     rows of any length, there is `pad = ..` for the number that they are padded \
                     with, and `lengths = \"..\"` and `mask_pad = \"..\"` for what is known of a \
                     column",
                ));
            };
            if said.replace(content).is_some() {
                return Err(meta.error(
                    "a field has one of `column`, `lengths`, `mask_pad`, `file_rows` and `default`",
                ));
            }
            Ok(())
        })?;
    }
    match (said, padding) {
        (None, padding) => Ok(Content::Column(column_of(ident), padding)),
        (Some(Content::Column(column, _)), padding) => Ok(Content::Column(column, padding)),
        (Some(said), None) => Ok(said),
        (Some(_), Some(_)) => {
            let message = "`pad` is for a field that has a column";
            Err(Error::new(ident.span(), message))
        }
    }
}

/// The column that an attribute names.
fn column(meta: &ParseNestedMeta<'_>, attribute: &str) -> Result<LitStr> {
    let text =
        format!("`{attribute}` needs the name of a column: `#[batch({attribute} = \"labels\")]`");
    let value = meta.value().map_err(|_| meta.error(&text))?;
    value.parse().map_err(|_| meta.error(&text))
}

/// The number that rows are padded with.
fn number(meta: &ParseNestedMeta<'_>) -> Result<f64> {
    let text = "`pad` needs a number, such as `#[batch(pad = -100)]`: an integer from -2^53 to \
                2^53, or a float";
    let value = meta.value().map_err(|_| meta.error(text))?;
    let number = match value.parse().map_err(|_| meta.error(text))? {
        Lit::Int(number) => number
            .base10_parse::<i64>()
            .ok()
            .filter(|number| number.unsigned_abs() <= 1 << 53)
            .map(|number| number as f64),
        Lit::Float(number) => number.base10_parse::<f64>().ok(),
        _ => None,
    };
    let number = number.filter(|number| number.is_finite());
    number.ok_or_else(|| meta.error(text))
}

/// The name of a field, without the `r#` of a keyword.
fn column_of(ident: &Ident) -> LitStr {
    let name = ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    LitStr::new(name, Span::call_site().located_at(ident.span()))
}
