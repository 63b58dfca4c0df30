use tch::{Kind, TchError};

/// Why a network could not be built, loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration cannot give a network.
    #[error("model: {key} is {value}: {reason}")]
    Config {
        /// The key, dotted.
        key: &'static str,
        /// What it is.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// A tensor that the network has is not in what is loaded.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor is in what is loaded, but the network has none of that name.
    #[error("tensor `{name}` is not part of this network")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the network's.
    #[error("tensor `{name}` has shape {found:?}; {expected:?} is right")]
    Shape {
        /// Its name, or the name of the input.
        name: String,
        /// The network's shape.
        expected: Vec<i64>,
        /// The shape given.
        found: Vec<i64>,
    },
    /// A tensor has another element type than the network's.
    #[error("tensor `{name}` is of type {found:?}; {expected:?} is right")]
    Kind {
        /// Its name.
        name: String,
        /// The network's type.
        expected: Kind,
        /// The type given.
        found: Kind,
    },
    /// Two parameters were given one name: a defect in comove.
    #[error("two tensors are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Checks an input's shape; −1 in `expected` stands for any size.
pub(super) fn expect_shape(name: &str, tensor: &tch::Tensor, expected: &[i64]) -> Result<(), ModelError> {
    let found = tensor.size();
    let fits = found.len() == expected.len()
        && expected
            .iter()
            .zip(&found)
            .all(|(&want, &is)| want < 0 || want == is);
    if fits {
        return Ok(());
    }
    Err(ModelError::Shape {
        name: name.to_owned(),
        expected: expected.to_vec(),
        found,
    })
}
