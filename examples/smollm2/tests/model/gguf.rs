//! Writes GGUF, by hand, so that what is read is held to the format and not to the reader.

/// Every tensor begins at a multiple of this.
const ALIGNMENT: usize = 32;

/// A file that is being made. A key that is given twice has its last value.
#[derive(Clone, Default)]
pub(crate) struct File {
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<Tensor>,
}

#[derive(Clone)]
struct Tensor {
    name: String,
    kind: u32,
    /// Innermost first.
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl File {
    fn key(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.keys.retain(|(other, _)| other != key);
        self.keys.push((key.to_owned(), [&kind.to_le_bytes(), value].concat()));
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key, 8, &string(text));
    }

    pub(crate) fn count(&mut self, key: &str, count: u32) {
        self.key(key, 4, &count.to_le_bytes());
    }

    pub(crate) fn number(&mut self, key: &str, number: f32) {
        self.key(key, 6, &number.to_le_bytes());
    }

    pub(crate) fn texts(&mut self, key: &str, texts: &[&str]) {
        self.list(key, 8, texts.iter().map(|text| string(text)));
    }

    pub(crate) fn integers(&mut self, key: &str, integers: &[i32]) {
        self.list(key, 5, integers.iter().map(|integer| integer.to_le_bytes().to_vec()));
    }

    fn list(&mut self, key: &str, kind: u32, values: impl ExactSizeIterator<Item = Vec<u8>>) {
        let mut list = kind.to_le_bytes().to_vec();
        list.extend((values.len() as u64).to_le_bytes());
        list.extend(values.flatten());
        self.key(key, 9, &list);
    }

    pub(crate) fn tensor(&mut self, name: &str, kind: u32, shape: &[usize], data: Vec<u8>) {
        self.tensors.push(Tensor { name: name.to_owned(), kind, shape: shape.to_vec(), data });
    }

    pub(crate) fn floats(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
        element: impl Fn(usize, usize) -> f32,
    ) {
        let data =
            (0..rows * columns).flat_map(|i| element(i / columns, i % columns).to_le_bytes()).collect();
        self.tensor(name, 0, &[columns, rows], data);
    }

    pub(crate) fn vector(&mut self, name: &str, values: &[f32]) {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, 0, &[values.len()], data);
    }

    pub(crate) fn remove(&mut self, tensor: &str) {
        self.tensors.retain(|Tensor { name, .. }| name != tensor);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            out.extend(string(key));
            out.extend(value);
        }
        let mut offset = 0;
        for Tensor { name, kind, shape, data } in &self.tensors {
            out.extend(string(name));
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|&size| out.extend((size as u64).to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += data.len().next_multiple_of(ALIGNMENT);
        }
        for Tensor { data, .. } in &self.tensors {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            out.extend(data);
        }
        out
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}
