use std::{borrow::Cow, collections::BTreeMap, collections::HashMap, path::Path};

use safetensors::{Dtype, SafeTensors, View};
use tch::{Device, Kind, Tensor};

use super::CheckpointError;

/// A tensor's values in host memory: what can be handed to another thread and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTensor {
    /// Its name, unique in the file.
    pub name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Little-endian, row-major.
    bytes: Vec<u8>,
}

impl NamedTensor {
    /// Copies a tensor off its device.
    pub fn copy_of(name: impl Into<String>, tensor: &Tensor) -> Result<Self, tch::TchError> {
        let kind = tensor.f_kind()?;
        let dtype = dtype_of(kind)
            .ok_or_else(|| tch::TchError::Kind(format!("{kind:?} cannot be stored in a snapshot")))?;
        let host = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0; host.numel() * kind.elt_size_in_bytes()];
        host.f_copy_data_u8(&mut bytes, host.numel())?;
        Ok(Self {
            name: name.into(),
            dtype,
            shape: host.size().into_iter().map(|size| size as usize).collect(),
            bytes,
        })
    }
}

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The content of a safetensors file; marked so that Python's `safetensors.torch` takes it.
pub(super) fn encode(tensors: &[NamedTensor], path: &Path) -> Result<Vec<u8>, CheckpointError> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let named = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    safetensors::serialize(named, Some(metadata)).map_err(|error| CheckpointError::Tensors {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// The tensors of a safetensors file, on the CPU.
pub(super) fn decode(content: &[u8], path: &Path) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let unusable = |reason: String| CheckpointError::Tensors {
        path: path.to_owned(),
        reason,
    };
    let file = SafeTensors::deserialize(content).map_err(|error| unusable(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let kind = kind_of(view.dtype())
            .ok_or_else(|| unusable(format!("tensor `{name}` is of type {:?}", view.dtype())))?;
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
            .map_err(|error| unusable(format!("tensor `{name}`: {error}")))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

const KINDS: [(Kind, Dtype); 5] = [
    (Kind::Float, Dtype::F32),
    (Kind::Int64, Dtype::I64),
    (Kind::Double, Dtype::F64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
];

fn dtype_of(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|known| known.0 == kind).map(|known| known.1)
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|known| known.1 == dtype).map(|known| known.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_shapes_and_types_come_back() {
        let path = Path::new("t.safetensors");
        let slice = Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0, 9.0, 8.0])
            .view([2, 3])
            .transpose(0, 1);
        let count = Tensor::from(7i64);
        let named = [
            NamedTensor::copy_of("b.slice", &slice).unwrap(),
            NamedTensor::copy_of("a.count", &count).unwrap(),
        ];
        let read = decode(&encode(&named, path).unwrap(), path).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read["b.slice"], slice);
        assert_eq!(read["b.slice"].size(), [3, 2]);
        assert_eq!((read["a.count"].kind(), read["a.count"].dim()), (Kind::Int64, 0));
        assert_eq!(read["a.count"].int64_value(&[]), 7);
    }

    #[test]
    fn a_type_that_comove_never_writes_is_refused() {
        let flags = Tensor::from_slice(&[true]);
        assert!(
            NamedTensor::copy_of("flags", &flags)
                .unwrap_err()
                .to_string()
                .contains("Bool")
        );
    }
}
