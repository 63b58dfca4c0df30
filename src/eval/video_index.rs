use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The video files of a folder, found by what lists call them.
///
/// Lists name files as they were handed out; on disk they may lie in other folders or have another ending since they were
/// re-encoded. The whole path under the folder goes first, then ever less of it.
#[derive(Debug)]
pub struct VideoIndex {
    /// Path under the folder, without ending → file.
    by_path: HashMap<String, PathBuf>,
    /// File name without ending → files.
    by_stem: HashMap<String, Vec<PathBuf>>,
}

/// Why a listed video has no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// None has its name.
    Missing,
    /// More than one has.
    Ambiguous(usize),
}

fn without_ending(path: &Path) -> String {
    path.with_extension("").to_string_lossy().into_owned()
}

fn stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl VideoIndex {
    /// An index of `videos`, which lie under `root`.
    pub fn new(root: &Path, videos: &[PathBuf]) -> Self {
        let mut index = Self {
            by_path: HashMap::new(),
            by_stem: HashMap::new(),
        };
        for video in videos {
            let name = without_ending(video.strip_prefix(root).unwrap_or(video));
            index
                .by_stem
                .entry(stem(&name).to_owned())
                .or_default()
                .push(video.clone());
            index.by_path.insert(name, video.clone());
        }
        index
    }

    /// The file that one of the names means.
    pub fn find(&self, names: &[String], class: &str) -> Result<&Path, NotFound> {
        let mut ambiguous = None;
        for name in names {
            // A name may have dots of its own and no ending: as it stands first.
            for key in [name.clone(), without_ending(Path::new(name))] {
                if let Some(path) = self.by_path.get(&key) {
                    return Ok(path);
                }
                match self.by_stem.get(stem(&key)).map(Vec::as_slice) {
                    Some([only]) => return Ok(only),
                    Some(several) => {
                        let in_class = |path: &&PathBuf| {
                            path.parent()
                                .and_then(Path::file_name)
                                .is_some_and(|folder| folder == class)
                        };
                        let mut fitting = several.iter().filter(in_class);
                        if let (Some(one), None) = (fitting.next(), fitting.next()) {
                            return Ok(one);
                        }
                        ambiguous = Some(NotFound::Ambiguous(several.len()));
                    }
                    None => {}
                }
            }
        }
        Err(ambiguous.unwrap_or(NotFound::Missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_under_other_endings_and_folders_and_doubtful_ones_are_not() {
        let root = Path::new("/data");
        let videos: Vec<PathBuf> = [
            "run/a.mp4",
            "walk/a.mp4",
            "train/run/b.mkv",
            "x/c.d.mp4",
            "1/e.mp4",
            "2/e.mp4",
        ]
        .iter()
        .map(|name| root.join(name))
        .collect();
        let index = VideoIndex::new(root, &videos);
        let find = |name: &str, class: &str| index.find(&[name.to_owned()], class);
        assert_eq!(find("run/a.avi", "run"), Ok(videos[0].as_path()));
        assert_eq!(find("a.avi", "walk"), Ok(videos[1].as_path()));
        assert_eq!(find("run/b.avi", "run"), Ok(videos[2].as_path()));
        assert_eq!(find("c.d", "x"), Ok(videos[3].as_path()));
        assert_eq!(find("e", "3"), Err(NotFound::Ambiguous(2)));
        assert_eq!(find("f", "3"), Err(NotFound::Missing));
    }
}
