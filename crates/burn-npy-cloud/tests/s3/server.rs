//! An S3 server on this machine, of the crates `s3s` and `s3s-fs`.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use burn_npy_cloud::Cloud;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, PutPayload};
use s3s::auth::SimpleAuth;
use s3s::dto::{
    ETagCondition, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadObjectInput,
    HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const KEY: &str = "user";
pub(crate) const SECRET: &str = "password";
pub(crate) const BUCKET: &str = "bucket";

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves an address, of which the port may be 0.
    pub(crate) fn start(s3: impl S3, address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut service = S3ServiceBuilder::new(s3);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3")
            .enable_all()
            .build()
            .unwrap();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    // A client that hangs up is no failure.
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        };
        runtime.spawn(serve);
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Connections break, and the port is free at once.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(std::time::Duration::from_secs(10));
        }
    }
}

pub(crate) fn cloud(endpoint: &str) -> Cloud {
    Cloud::new()
        .option("aws_endpoint", endpoint)
        .option("aws_access_key_id", KEY)
        .option("aws_secret_access_key", SECRET)
}

/// The files of a folder as objects, and what `s3s-fs` leaves out: conditions, and buckets that do
/// not exist.
pub(crate) struct Folder {
    files: FileSystem,
    requests: Arc<AtomicUsize>,
    knows_conditions: bool,
}

impl Folder {
    fn new(folder: &Path) -> Self {
        Self {
            files: FileSystem::new(folder).unwrap(),
            requests: Arc::default(),
            knows_conditions: true,
        }
    }

    async fn expect_bucket(&self, bucket: &str) -> S3Result<()> {
        let input = HeadBucketInput {
            bucket: bucket.to_owned(),
            ..HeadBucketInput::default()
        };
        self.files.head_bucket(request(input)).await.map(|_| ())
    }
}

fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Default::default(),
        uri: Default::default(),
        headers: Default::default(),
        extensions: Default::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

#[async_trait]
impl S3 for Folder {
    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.expect_bucket(&req.input.bucket).await?;
        let condition = req.input.if_match.clone().filter(|_| self.knows_conditions);
        let answer = self.files.get_object(req).await?;
        let tag = answer.output.e_tag.clone();
        match condition {
            Some(ETagCondition::ETag(expected)) if Some(&expected) != tag.as_ref() => {
                Err(s3_error!(PreconditionFailed))
            }
            _ => Ok(answer),
        }
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.files.head_object(req).await
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.expect_bucket(&req.input.bucket).await?;
        self.files.put_object(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.files.list_objects_v2(req).await
    }
}

/// A bucket in a folder of its own.
pub(crate) struct Bucket {
    server: Option<Server>,
    address: SocketAddr,
    folder: TempDir,
    requests: Arc<AtomicUsize>,
    writer: AmazonS3,
    runtime: Runtime,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self::on(true)
    }

    /// On a server that passes over conditions.
    pub(crate) fn without_conditions() -> Self {
        Self::on(false)
    }

    fn on(knows_conditions: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut files = Folder::new(folder.path());
        files.knows_conditions = knows_conditions;
        let requests = files.requests.clone();
        let server = Server::start(files, "127.0.0.1:0");
        let writer = AmazonS3Builder::new()
            .with_endpoint(server.endpoint())
            .with_allow_http(true)
            .with_bucket_name(BUCKET)
            .with_access_key_id(KEY)
            .with_secret_access_key(SECRET);
        Self {
            address: server.address(),
            server: Some(server),
            folder,
            requests,
            writer: writer.build().unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn cloud(&self) -> Cloud {
        cloud(&format!("http://{}", self.address))
    }

    /// How many requests for objects there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Writes an object, and gives its URL.
    pub(crate) fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        let payload = PutPayload::from(bytes.into());
        let path = object_store::path::Path::parse(key).unwrap();
        let put = self.writer.put(&path, payload);
        self.runtime.block_on(put).unwrap();
        format!("s3://{BUCKET}/{key}")
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, key: &str) {
        std::fs::remove_file(self.folder.path().join(BUCKET).join(key)).unwrap();
    }

    /// Nobody answers any more.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// The same objects at the same address.
    pub(crate) fn start_again(&mut self) {
        let mut files = Folder::new(self.folder.path());
        files.requests = self.requests.clone();
        self.server = Some(Server::start(files, &self.address.to_string()));
    }
}
