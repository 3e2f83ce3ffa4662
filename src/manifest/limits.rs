/// What one text may cost to read. Every bound is a clear error where it is passed, never a slow or growing process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text, and once more the bytes of scalars and keys that anchors and aliases copy.
    pub bytes: usize,
    /// How deep sequences and mappings may nest; JSON decoders on the way to the API server stop at 128 too.
    pub depth: usize,
    /// Documents that hold something, readable or not.
    pub documents: usize,
    /// Nodes of all documents together, those copied by aliases among them.
    pub nodes: usize,
    /// Nodes that anchors and aliases may copy in one document; `kubectl` stops at about as many.
    pub aliased: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, depth: 128, documents: 100_000, nodes: 5_000_000, aliased: 400_000 }
    }
}
