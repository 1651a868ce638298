//! What requests may take of memory, connections and time.

use std::time::Duration;

/// The largest body that is read, in bytes.
///
/// A review holds the object, the old object and a few hundred bytes besides. What can be stored at
/// all bounds both, since etcd takes 1.5 MiB by default (`--max-request-bytes`):
///
/// - Custom resources are stored as the JSON that is also sent to us: 2 × 1.5 MiB = 3 MiB. Reviews
///   of 2.9 MB were seen.
/// - Secrets are stored in a denser form. Of 1 MiB of data (`MaxSecretSize`) base64 makes 1.34 MiB;
///   of 256 KiB of annotations, where Go writes `<`, `>` and `&` as six characters, up to 1.5 MiB;
///   and managed fields are about as long as what they describe: 2 × (1.34 + 1.5 + 0.4) MiB = 6.5
///   MiB.
///
/// A larger object would be refused by etcd a moment later, whatever is said here; an API server
/// accepts 3 MiB in one request at most, so a raised limit of etcd still fits in most cases.
pub const BODY_LIMIT: usize = 8 << 20;

/// The largest body that counts as small, in bytes. Ordinary reviews have 12 to 80 KB.
pub const SMALL_BODY_LIMIT: usize = 256 << 10;

/// Memory for all small bodies that are being received or judged, in bytes.
pub const SMALL_BODIES_LIMIT: usize = 8 << 20;

/// Memory for all other bodies, in bytes: room for three of the largest.
pub const LARGE_BODIES_LIMIT: usize = 3 * BODY_LIMIT;

/// All that requests take at the same time at most, in bytes:
///
/// - the bodies;
/// - the objects that they are decoded to, the new one and the old one of a review, for each thread
///   and each turn, as nothing that is decoded is kept while something is waited for;
/// - what connections buffer, and their TLS.
///
/// It is half of what the Deployment may take (`manifests/base/deployment.yaml`, which a test
/// compares with it). The rest is for the program, for what is known of the fleet, and for the two
/// Applications at a time that ApplicationSets are expanded to.
pub const REQUESTS_MEMORY: u64 =
    (SMALL_BODIES_LIMIT + LARGE_BODIES_LIMIT + CONNECTIONS_LIMIT * CONNECTION_MEMORY) as u64
        + (THREADS_LIMIT + SMALL_TURNS + LARGE_TURNS as usize) as u64 * 2 * OBJECT_MEMORY;

/// How long a request may wait, for room, for its body, for its turn and for answers of others
/// altogether, where its caller does not say how long it waits itself. An API server always does;
/// the manifests have it wait 5 s.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a denial waits for the news that would lift it. An AppProject and its Applications are
/// often created together, and the watch is told of the first after the API server asks about the
/// second: a few milliseconds, or a few hundred on a busy machine. The API server waits 5 s.
pub const NEWS_TIMEOUT: Duration = Duration::from_secs(1);

/// What bounds what requests can take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The largest that takes from the memory for small ones, in bytes.
    pub small_body: usize,
    /// All small bodies together, in bytes.
    pub small_bodies: usize,
    /// All others together, in bytes.
    pub large_bodies: usize,
    /// For all that a request waits for, where its caller does not say how long it waits itself.
    pub timeout: Duration,
    /// For an AppProject or a cluster to appear that an Application lacks.
    pub news_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: BODY_LIMIT,
            small_body: SMALL_BODY_LIMIT,
            small_bodies: SMALL_BODIES_LIMIT,
            large_bodies: LARGE_BODIES_LIMIT,
            timeout: TIMEOUT,
            news_timeout: NEWS_TIMEOUT,
        }
    }
}

/// Requests that may wait for a newer inventory at the same time. It is a handful at most where an
/// AppProject and its Applications are created together; more is somebody who asks for nonsense.
pub(crate) const PATIENCE: usize = 16;

/// Reviews with a small body that are judged out of the way at the same time. One can take a
/// processor for a second.
pub(crate) const SMALL_TURNS: usize = 2;

/// The same for large bodies, which have turns of their own: small ones do not wait for them. A
/// body of more than half the limit takes all of them, so that the largest is decoded alone.
pub(crate) const LARGE_TURNS: u32 = 2;

/// More threads would judge no faster than the API server can ask (one of them answers some 4,000
/// requests a second), and each has memory of its own.
pub(crate) const THREADS_LIMIT: usize = 4;

/// Open connections to the admission port. An API server holds a handful.
pub(crate) const CONNECTIONS_LIMIT: usize = 512;

/// What a connection takes at most, in bytes: some 50 KiB for itself and TLS, and what it buffers.
pub(crate) const CONNECTION_MEMORY: usize = (50 << 10) + BUFFER_LIMIT;

/// What a connection buffers of a request before it is read, and so the largest head; more would
/// only be memory.
pub(crate) const BUFFER_LIMIT: usize = 64 << 10;

/// Memory for what an object is read into, in bytes. The largest that etcd stores by default takes
/// less, unless its lists and maps are full of next to nothing, as `[{},{},{}]` is.
pub const OBJECT_MEMORY: u64 = 8 << 20;
