//! One suite, every executor: what each made of the same cases, in one snapshot. `cargo xtask executors` runs the executors and then this.
//!
//! A cell has how many beats of each class there are, a hash of their places and classes, and, where an executor computes in integers,
//! a hash of the bits of their scores. Integers must agree to the bit, whoever computes them. Where float takes a beat for another class, the
//! snapshot shows it.

use heartlens::model::ONNX_FILE;
use heartlens::records::Record;
use heartlens::runtime::{Logits, ModelError, Runtime};
use heartlens::{Model, Options};
use heartlens_core::class::Class;
use heartlens_core::views::Views;
use heartlens_tests::{batch, root};
use heartlens_trainer::beat::config::Config;
use heartlens_trainer::beat::network::Network;
use heartlens_trainer::nn::blocks::Parameters;
use prost::Message as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use tch::{Device, Tensor, nn};
use tract_onnx::pb::ModelProto;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// The executors, in the order of the snapshot's rows.
const EXECUTORS: [&str; 13] = [
    "libtorch",
    "tract",
    "ONNX Runtime",
    "x86-64 portable",
    "x86-64 AVX2",
    "x86-64 AVX-512 VNNI",
    "AArch64",
    "Cortex-M4F",
    "Cortex-M33",
    "RV32IMC",
    "C",
    "Python",
    "WebAssembly",
];
/// Those of them that compute in float.
const FLOAT: [&str; 3] = ["libtorch", "tract", "ONNX Runtime"];

/// The lines of a case: R peak, class, scores.
type Cases = BTreeMap<String, Vec<String>>;

fn cases(lines: &str) -> Result<Cases> {
    let mut cases = Cases::new();
    for line in lines.lines() {
        let (case, beat) = line.split_once(' ').ok_or("a line without a case")?;
        let beats = cases.entry(case.to_owned()).or_default();
        beats.push(beat.to_owned());
    }
    Ok(cases)
}

/// FNV-1a, 32 bit.
fn hash<'a>(words: impl Iterator<Item = &'a str>) -> u32 {
    let bytes = words.flat_map(|word| word.bytes().chain([b' ']));
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn cell(beats: &[String], float: bool) -> Result<String> {
    let mut counts = BTreeMap::new();
    let mut labels = Vec::new();
    let mut bits = Vec::new();
    for beat in beats {
        let words: Vec<&str> = beat.split(' ').collect();
        let [sample, class, scores @ ..] = &words[..] else {
            return Err(format!("no beat: {beat}").into());
        };
        let class = Class::ALL.into_iter().find(|known| known.name() == *class);
        let class = class.ok_or_else(|| format!("no class: {beat}"))?;
        *counts.entry(class).or_insert(0) += 1;
        labels.extend([*sample, class.name()]);
        bits.extend_from_slice(scores);
    }
    let mut cell = String::new();
    for class in Class::ALL {
        write!(cell, "{:>4}", counts.get(&class).unwrap_or(&0))?;
    }
    write!(cell, "  {:08x}", hash(labels.into_iter()))?;
    if !float {
        write!(cell, "  {:08x}", hash(bits.into_iter()))?;
    }
    Ok(cell)
}

/// The shipped network in libtorch, with the weights that its ONNX file has: there, batch normalisation lies in the convolutions.
struct Libtorch(Network);

impl Libtorch {
    fn shipped() -> Result<Self> {
        let folder = root().join("models/beat");
        let mut config = Config::read(&folder.join("config.toml"))?;
        // In the file it lies in the last layer.
        config.training.temperature = 1.0;
        let store = nn::VarStore::new(Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let network = Network::new(&config, Parameters::new(&store, &mut rng))?;
        let file = ModelProto::decode(&std::fs::read(folder.join(ONNX_FILE))?[..])?;
        let graph = file.graph.ok_or("no graph")?;
        let constants: BTreeMap<String, Tensor> = graph
            .initializer
            .iter()
            .map(|constant| {
                let (floats, _) = constant.raw_data.as_chunks::<4>();
                let floats: Vec<f32> = floats.iter().map(|f| f32::from_le_bytes(*f)).collect();
                let tensor = Tensor::from_slice(&floats).reshape(&constant.dims[..]);
                (constant.name.clone(), tensor)
            })
            .collect();
        for (name, mut variable) in store.variables() {
            if !Network::is_auxiliary(&name) {
                let value = weight(&name, &constants)?;
                tch::no_grad(|| variable.copy_(&value.expand_as(&variable)));
            }
        }
        Ok(Self(network))
    }
}

/// The value of a variable of the network.
fn weight(name: &str, constants: &BTreeMap<String, Tensor>) -> Result<Tensor> {
    let constant = |name: &str| {
        let found = constants.get(name);
        found.ok_or_else(|| format!("the file has no {name}"))
    };
    let (place, part) = name.rsplit_once('.').ok_or("a name without a place")?;
    if let Some(layer) = place.strip_suffix(".norm") {
        return Ok(match part {
            "beta" => constant(&format!("{layer}.bias"))?.shallow_clone(),
            // With what is added to it before its root, the variance is 1.
            "variance" => Tensor::from(1.0 - 1e-5),
            "gamma" => Tensor::from(1.0),
            "mean" => Tensor::from(0.0),
            _ => return Err(format!("{name} is not known").into()),
        });
    }
    let way = |place: &str| match place.rsplit_once('.') {
        Some((layer, "forward")) => Some((layer.to_owned(), 0)),
        Some((layer, "backward")) => Some((layer.to_owned(), 1)),
        _ => None,
    };
    let Some((layer, way)) = way(place) else {
        return Ok(constant(name)?.shallow_clone());
    };
    let of = |part: &str| constant(&format!("{layer}.{part}")).map(|all| all.get(way));
    let gates = match part {
        "input" => of("w")?,
        "recurrent" => of("r")?,
        "input_bias" => of("b")?.chunk(2, 0).swap_remove(0),
        "recurrent_bias" => of("b")?.chunk(2, 0).swap_remove(1),
        _ => return Err(format!("{name} is not known").into()),
    };
    // ONNX's input, output, forget, cell to libtorch's input, forget, cell, output.
    let gates = gates.chunk(4, 0);
    Ok(Tensor::cat(
        &[&gates[0], &gates[2], &gates[3], &gates[1]],
        0,
    ))
}

impl Runtime for Libtorch {
    fn name(&self) -> &'static str {
        "libtorch"
    }

    fn model_name(&self) -> &str {
        "beat"
    }

    fn reads_patient(&self) -> bool {
        false
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        let logits = tch::no_grad(|| self.0.forward(&batch(beats), None));
        let rows = 0..beats.len() as i64;
        Ok(rows
            .map(|row| [0, 1, 2, 3].map(|class| logits.double_value(&[row, class]) as f32))
            .collect())
    }
}

fn libtorch(headers: &[std::path::PathBuf]) -> Result<Cases> {
    let model = Model::shipped()?.with_network(|| {
        Box::new(Libtorch::shipped().unwrap_or_else(|error| panic!("the shipped network: {error}")))
    });
    let mut options = Options::default();
    options.threads = std::num::NonZeroUsize::new(1);
    let mut all = Cases::new();
    for header in headers {
        let analysis = model.classify(&Record::open(header)?, &options)?;
        let beats = analysis.beats.iter();
        let lines = beats.map(|beat| format!("{} {}", beat.sample, beat.class.name()));
        all.insert(name(header), lines.collect());
    }
    Ok(all)
}

fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[test]
fn every_executor_gives_the_answers_of_the_snapshot() -> Result {
    let folder = std::env::var_os("HEARTLENS_EXECUTORS")
        .ok_or("`cargo xtask executors` runs this, with HEARTLENS_EXECUTORS")?;
    let folder = Path::new(&folder);
    let mut headers = Vec::new();
    for entry in folder.join("cases").read_dir()? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "hea") {
            headers.push(file);
        }
    }
    headers.sort();
    let mut told = BTreeMap::from([("libtorch", libtorch(&headers)?)]);
    for executor in EXECUTORS.into_iter().filter(|name| *name != "libtorch") {
        match std::fs::read_to_string(folder.join(format!("{executor}.txt"))) {
            Ok(lines) => drop(told.insert(executor, cases(&lines)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("left out, since it does not run here: {executor}");
            }
            Err(error) => return Err(error.into()),
        }
    }

    let mut table = format!(
        "{:<22}{:<20}{:>4}{:>4}{:>4}{:>4}{:>4}  {:<8}  scores\n",
        "case", "executor", "N", "S", "V", "F", "Q", "classes"
    );
    for header in &headers {
        let case = name(header);
        let mut scores = BTreeMap::<String, Vec<&str>>::new();
        for executor in EXECUTORS {
            let Some(cases) = told.get(executor) else {
                continue;
            };
            let beats = cases.get(&case).map_or(&[][..], Vec::as_slice);
            let float = FLOAT.contains(&executor);
            let cell = cell(beats, float)?;
            writeln!(table, "{case:<22}{executor:<20}{cell}")?;
            if !float {
                scores.entry(cell).or_default().push(executor);
            }
        }
        assert!(scores.len() <= 1, "{case}: integers differ: {scores:#?}");
    }
    let snapshot = include_str!("snapshots/suite__executors.snap");
    if told.len() == EXECUTORS.len() && has_all_cases(snapshot, &headers) {
        insta::assert_snapshot!("executors", table);
    } else {
        let missing: Vec<_> = table
            .lines()
            .filter(|row| !snapshot.contains(row))
            .collect();
        assert!(
            missing.is_empty(),
            "not in the snapshot:\n{}",
            missing.join("\n")
        );
    }
    Ok(())
}

/// Whether no case of the snapshot is one of real records that are not here.
fn has_all_cases(snapshot: &str, headers: &[std::path::PathBuf]) -> bool {
    let rows = snapshot.lines().filter(|row| row.contains("libtorch"));
    rows.filter_map(|row| row.split(' ').next())
        .all(|case| headers.iter().any(|header| name(header) == case))
}
