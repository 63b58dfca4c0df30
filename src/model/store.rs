use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor, no_grad};

use super::{Init, ModelError};

/// What a named tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Trained, and shrunk by weight decay: matrices and kernels.
    Weight,
    /// Trained without weight decay: biases, norms, positions.
    Offset,
    /// A running statistic of a batch norm: not trained.
    Statistic,
    /// Batches that a batch norm has seen: a single i64.
    Counter,
}

impl Role {
    /// The element type of such a tensor.
    pub fn kind(self) -> Kind {
        match self {
            Role::Counter => Kind::Int64,
            _ => Kind::Float,
        }
    }
}

/// A tensor of a network with its name.
#[derive(Debug)]
pub struct Parameter {
    /// PyTorch-like, unique: `v.stem.spatial.weight`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The values. A view into the store's memory.
    pub tensor: Tensor,
    offset: i64,
}

/// All tensors of a network, in the order in which they were made, in four runs of contiguous memory, one a [`Role`].
///
/// The optimiser works on whole runs ([`Self::trained`]), so that a step is a handful of kernels whatever the number of layers.
#[derive(Debug)]
pub struct ParameterStore {
    parameters: Vec<Parameter>,
    /// Weights, then offsets.
    trained: Tensor,
    /// Elements of `trained` that weight decay shrinks, from the first on.
    decayed: i64,
    statistics: Tensor,
    counters: Tensor,
    padding: Tensor,
}

/// Every tensor starts at a multiple of this many elements (256 bytes): cuDNN's fast kernels want aligned operands.
const ALIGNMENT: i64 = 64;

fn padded(count: i64) -> i64 {
    (count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// A tensor's name, its place in a [`Run`], and its shape.
type Member = (String, i64, Vec<i64>);

/// A stretch of memory, and what it holds.
type Run = (Tensor, Vec<Member>);

/// The running statistics from before a training pass.
#[derive(Debug)]
pub struct StatisticsBefore(Tensor);

impl ParameterStore {
    /// Every tensor, in the order of construction.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The trained tensors in the order of [`Self::flatten`].
    pub fn trained_parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.of_role(Role::Weight).chain(self.of_role(Role::Offset))
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(move |p| p.role == role)
    }

    /// The stretches of memory that hold the tensors of a role whose names begin with `prefix`, as vectors, and of each the names,
    /// where they begin in it, and their shapes. Tensors made one after another share a stretch.
    pub(super) fn runs_of(&self, role: Role, prefix: &str) -> Vec<Run> {
        let memory = match role {
            Role::Weight | Role::Offset => &self.trained,
            Role::Statistic => &self.statistics,
            Role::Counter => &self.counters,
        };
        let mut stretches: Vec<(i64, i64, Vec<Member>)> = Vec::new();
        for parameter in self.of_role(role).filter(|p| p.name.starts_with(prefix)) {
            let (begin, end) = (
                parameter.offset,
                parameter.offset + padded(parameter.tensor.numel() as i64),
            );
            let member = |first: i64| (parameter.name.clone(), begin - first, parameter.tensor.size());
            match stretches.last_mut() {
                Some((first, last, members)) if *last == begin => {
                    members.push(member(*first));
                    *last = end;
                }
                _ => stretches.push((begin, end, vec![member(begin)])),
            }
        }
        stretches
            .into_iter()
            .map(|(begin, end, members)| (memory.narrow(0, begin, end - begin), members))
            .collect()
    }

    /// All trained values as one vector `[P]`, padding included. Writing to it writes to the network.
    pub fn trained(&self) -> &Tensor {
        &self.trained
    }

    /// How many of the first elements of [`Self::trained`] weight decay shrinks.
    pub fn decayed(&self) -> i64 {
        self.decayed
    }

    /// Trained values without padding: the number that people call parameters.
    pub fn trained_count(&self) -> i64 {
        self.trained_parameters().map(|p| p.tensor.numel() as i64).sum()
    }

    /// The part of a vector laid out as [`Self::trained`] that belongs to a trained parameter, in its shape.
    pub fn slice_of(&self, parameter: &Parameter, vector: &Tensor) -> Tensor {
        let count = parameter.tensor.numel() as i64;
        vector
            .narrow(0, parameter.offset, count)
            .view(parameter.tensor.size().as_slice())
    }

    /// Lays gradients of the trained parameters, given in the order of [`Self::trained_parameters`], out as
    /// [`Self::trained`]: `[P]`.
    pub fn flatten(&self, gradients: &[Tensor]) -> Tensor {
        let mut pieces = Vec::with_capacity(2 * gradients.len());
        for gradient in gradients {
            let count = gradient.numel() as i64;
            pieces.push(gradient.reshape([count]));
            if padded(count) > count {
                pieces.push(self.padding.narrow(0, 0, padded(count) - count));
            }
        }
        Tensor::cat(&pieces, 0)
    }

    /// Remembers the running statistics, in case that the pass to come turns out not finite.
    pub fn statistics_before(&self) -> StatisticsBefore {
        StatisticsBefore(self.statistics.copy())
    }

    /// Keeps the running statistics that a training pass left, and counts it, where `finite` (a boolean scalar tensor) is
    /// true; puts the ones from before back otherwise. Needs no host sync.
    pub fn settle_statistics(&self, before: StatisticsBefore, finite: &Tensor) {
        no_grad(|| {
            let kept = self.statistics.where_self(finite, &before.0);
            self.statistics.shallow_clone().copy_(&kept);
            let _ = self.counters.shallow_clone().g_add_(&finite.to_kind(Kind::Int64));
        });
    }

    /// Takes over the values of `tensors`, all or none.
    ///
    /// # Errors
    /// A tensor that is missing, unexpected, of another shape or of another type, by name.
    pub fn load(&self, tensors: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
        self.load_part("", tensors)
    }

    /// As [`Self::load`], of the tensors whose names begin with `prefix`; the others stay as they are.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_part(&self, prefix: &str, tensors: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
        let part = self.parameters.iter().filter(|p| p.name.starts_with(prefix));
        load_strictly(part.map(|p| (p.name.as_str(), &p.tensor)), tensors)
    }
}

/// Copies `given` into the tensors of `own`, all or none.
///
/// # Errors
/// A tensor that is missing, unexpected, of another shape or of another type, by name.
pub fn load_strictly<'a>(
    own: impl Iterator<Item = (&'a str, &'a Tensor)> + Clone,
    given: &BTreeMap<String, Tensor>,
) -> Result<(), ModelError> {
    let mut count = 0;
    for (name, tensor) in own.clone() {
        count += 1;
        let found = given.get(name).ok_or_else(|| ModelError::Missing {
            name: name.to_owned(),
        })?;
        if found.size() != tensor.size() {
            return Err(ModelError::Shape {
                name: name.to_owned(),
                expected: tensor.size(),
                found: found.size(),
            });
        }
        if found.kind() != tensor.kind() {
            return Err(ModelError::Kind {
                name: name.to_owned(),
                expected: tensor.kind(),
                found: found.kind(),
            });
        }
    }
    if given.len() > count {
        let known: HashSet<&str> = own.clone().map(|(name, _)| name).collect();
        if let Some(name) = given.keys().find(|name| !known.contains(name.as_str())) {
            return Err(ModelError::Unexpected { name: name.clone() });
        }
    }
    no_grad(|| {
        for (name, tensor) in own {
            tensor.shallow_clone().f_copy_(&given[name])?;
        }
        Ok(())
    })
}

/// Collects the tensors of a network while its modules are made.
#[derive(Debug)]
pub struct Builder {
    rng: ChaCha8Rng,
    parameters: Vec<Parameter>,
    names: HashSet<String>,
}

impl Builder {
    /// Nothing yet; initial values will come from `rng`.
    pub fn new(rng: ChaCha8Rng) -> Self {
        Self {
            rng,
            parameters: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// Where top-level modules are made.
    pub fn root(&mut self) -> Scope<'_> {
        Scope {
            builder: self,
            prefix: String::new(),
        }
    }

    /// Moves everything to `device`, into the store's runs of memory. The tensors that modules hold follow.
    pub fn finish(mut self, device: Device) -> Result<ParameterStore, ModelError> {
        let mut lengths = BTreeMap::from([
            (Role::Weight, 0),
            (Role::Offset, 0),
            (Role::Statistic, 0),
            (Role::Counter, 0),
        ]);
        for parameter in &mut self.parameters {
            let length = lengths.entry(parameter.role).or_insert(0);
            parameter.offset = *length;
            let count = parameter.tensor.numel() as i64;
            // Counters stand side by side, so that one addition counts for all of them.
            *length += if parameter.role == Role::Counter {
                count
            } else {
                padded(count)
            };
        }
        let decayed = lengths[&Role::Weight];
        let store = ParameterStore {
            trained: Tensor::f_zeros([decayed + lengths[&Role::Offset]], (Kind::Float, device))?,
            decayed,
            statistics: Tensor::f_zeros([lengths[&Role::Statistic]], (Kind::Float, device))?,
            counters: Tensor::f_zeros([lengths[&Role::Counter]], (Kind::Int64, device))?,
            padding: Tensor::f_zeros([ALIGNMENT], (Kind::Float, device))?,
            parameters: Vec::new(),
        };
        for parameter in &mut self.parameters {
            let run = match parameter.role {
                Role::Weight => &store.trained,
                Role::Offset => {
                    parameter.offset += decayed;
                    &store.trained
                }
                Role::Statistic => &store.statistics,
                Role::Counter => &store.counters,
            };
            let count = parameter.tensor.numel() as i64;
            let mut view = run
                .f_narrow(0, parameter.offset, count)?
                .f_view(parameter.tensor.size().as_slice())?;
            view.f_copy_(&parameter.tensor)?;
            parameter.tensor.f_set_data(&view)?;
            if matches!(parameter.role, Role::Weight | Role::Offset) {
                parameter.tensor = parameter.tensor.f_set_requires_grad(true)?;
            }
        }
        Ok(ParameterStore {
            parameters: self.parameters,
            ..store
        })
    }
}

/// A module's place in the tree of names.
#[derive(Debug)]
pub struct Scope<'a> {
    builder: &'a mut Builder,
    prefix: String,
}

impl Scope<'_> {
    /// The place of a part of this module.
    pub fn enter(&mut self, name: impl Display) -> Scope<'_> {
        Scope {
            prefix: format!("{}{name}.", self.prefix),
            builder: self.builder,
        }
    }

    /// A kernel or matrix: trained and decayed.
    pub fn weight(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, ModelError> {
        self.add(name, shape, init, Role::Weight)
    }

    /// A bias, a norm's scale or a position: trained, not decayed.
    pub fn offset(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, ModelError> {
        self.add(name, shape, init, Role::Offset)
    }

    /// A running statistic.
    pub fn statistic(&mut self, name: &str, shape: &[i64], value: f32) -> Result<Tensor, ModelError> {
        self.add(name, shape, Init::Constant(value), Role::Statistic)
    }

    /// A counter of batches, at 0.
    pub fn counter(&mut self, name: &str) -> Result<(), ModelError> {
        self.add(name, &[], Init::Constant(0.0), Role::Counter).map(drop)
    }

    fn add(&mut self, name: &str, shape: &[i64], init: Init, role: Role) -> Result<Tensor, ModelError> {
        let name = format!("{}{name}", self.prefix);
        if !self.builder.names.insert(name.clone()) {
            return Err(ModelError::Duplicate { name });
        }
        let count = shape.iter().product::<i64>() as usize;
        let tensor = Tensor::f_from_slice(&init.draw(count, &mut self.builder.rng))?
            .f_view(shape)?
            .f_to_kind(role.kind())?;
        let handle = tensor.shallow_clone();
        self.builder.parameters.push(Parameter {
            name,
            role,
            tensor,
            offset: 0,
        });
        Ok(handle)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn built() -> (ParameterStore, Tensor) {
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
        let mut root = builder.root();
        let mut part = root.enter("part");
        let _ = part.offset("bias", &[3], Init::Constant(1.0)).unwrap();
        let weight = part.weight("weight", &[2, 3], Init::linear(3)).unwrap();
        let _ = part.statistic("running_mean", &[3], 0.5).unwrap();
        part.counter("num_batches_tracked").unwrap();
        (builder.finish(Device::Cpu).unwrap(), weight)
    }

    fn copies(store: &ParameterStore) -> BTreeMap<String, Tensor> {
        let copy = |p: &Parameter| (p.name.clone(), no_grad(|| p.tensor.copy()));
        store.parameters().iter().map(copy).collect()
    }

    #[test]
    fn modules_see_what_is_written_to_the_flat_vector() {
        let (store, weight) = built();
        assert_eq!(store.parameters()[1].name, "part.weight");
        assert!(weight.requires_grad());
        assert_eq!(store.decayed(), 64);
        assert_eq!(store.trained().size(), [128]);
        assert_eq!(store.trained_count(), 9);
        let _ = store.trained().shallow_clone().fill_(7.0);
        assert_eq!(weight.double_value(&[1, 2]), 7.0);
    }

    #[test]
    fn gradients_are_laid_out_like_the_parameters() {
        let (store, weight) = built();
        let loss = (&weight * 2.0).sum(Kind::Float) + store.parameters()[0].tensor.sum(Kind::Float);
        let trained: Vec<_> = store.trained_parameters().map(|p| &p.tensor).collect();
        let gradients = Tensor::run_backward(&[loss], &trained, false, false);
        let flat = store.flatten(&gradients);
        assert_eq!(flat.size(), store.trained().size());
        for (parameter, value) in store.trained_parameters().zip([2.0, 1.0]) {
            let slice = store.slice_of(parameter, &flat);
            assert_eq!(slice.size(), parameter.tensor.size());
            assert_eq!(slice.min().double_value(&[]), value, "{}", parameter.name);
        }
        assert_eq!(flat.sum(Kind::Float).double_value(&[]), 15.0);
    }

    #[test]
    fn a_name_can_be_given_only_once() {
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
        let mut root = builder.root();
        root.counter("n").unwrap();
        let error = root.counter("n").unwrap_err();
        assert!(matches!(error, ModelError::Duplicate { name } if name == "n"));
    }

    #[test]
    fn loading_names_what_is_missing_extra_misshapen_or_of_another_type() {
        let (store, weight) = built();
        let told = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
            let mut tensors = copies(&store);
            tensors.insert("part.bias".into(), Tensor::from_slice(&[9f32; 3]));
            change(&mut tensors);
            store.load(&tensors).unwrap_err().to_string()
        };
        let missing = told(&|t| drop(t.remove("part.weight")));
        assert_eq!(missing, "tensor `part.weight` is missing");
        let extra = told(&|t| drop(t.insert("part.new".into(), Tensor::from(1.0))));
        assert_eq!(extra, "tensor `part.new` is not part of this network");
        let shape = told(&|t| drop(t.insert("part.weight".into(), weight.detach().view([3, 2]))));
        assert_eq!(shape, "tensor `part.weight` has shape [3, 2]; [2, 3] is right");
        let kind = told(&|t| drop(t.insert("part.weight".into(), weight.detach().to_kind(Kind::Half))));
        assert_eq!(kind, "tensor `part.weight` is of type Half; Float is right");
        assert_eq!(
            store.parameters()[0].tensor.double_value(&[0]),
            1.0,
            "a refused load changes nothing"
        );
    }

    #[test]
    fn loading_puts_every_value_back() {
        let (store, weight) = built();
        let before = copies(&store);
        let _ = store.trained().shallow_clone().fill_(7.0);
        store.load(&before).unwrap();
        assert_eq!(weight.detach(), before["part.weight"]);
    }

    #[test]
    fn a_pass_that_was_not_finite_leaves_the_statistics_as_they_were() {
        let (store, _) = built();
        let (mean, seen) = (&store.parameters()[2].tensor, &store.parameters()[3].tensor);
        for (finite, mean_after, seen_after) in [(false, 0.5, 0), (true, 8.0, 1)] {
            let before = store.statistics_before();
            let _ = mean.shallow_clone().fill_(if finite { 8.0 } else { f64::NAN });
            store.settle_statistics(before, &Tensor::from(finite));
            assert_eq!(mean.double_value(&[0]), mean_after);
            assert_eq!(seen.int64_value(&[]), seen_after);
        }
    }
}
