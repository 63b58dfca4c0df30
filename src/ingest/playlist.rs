use std::path::{Path, PathBuf};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::{
    IngestError, Repeat,
    container::{self, VIDEO_EXTENSIONS},
};

/// The files of a stream, one pass after the other.
///
/// Reads the folder anew for every pass: files that have come since join in. Touches the disk: not for async code.
#[derive(Clone, Debug)]
pub struct Playlist {
    place: Place,
    repeat: Repeat,
    shuffle_seed: Option<u64>,
    /// Passes begun.
    passes: u64,
    /// Files of this pass.
    files: usize,
    /// Those that are still to come, last first.
    ahead: Vec<PathBuf>,
    /// Where the first file is not to be that of the first pass.
    begin: Option<FilePlace>,
}

/// One file's place in a [`Playlist`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePlace {
    /// Passes begun, this one counted.
    pub pass: u64,
    /// Files before it in this pass.
    pub index: u64,
    /// Its path: a folder may have other files when it is read again.
    pub path: PathBuf,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Folder(PathBuf),
}

impl Playlist {
    /// One file, once or endlessly.
    pub fn of_file(path: &Path, repeat: Repeat) -> Self {
        Self::new(Place::File(path.to_owned()), repeat, None)
    }

    /// A folder's files, sorted by path, or shuffled by the seed, each pass in another order.
    pub fn of_folder(folder: &Path, repeat: Repeat, shuffle_seed: Option<u64>) -> Self {
        Self::new(Place::Folder(folder.to_owned()), repeat, shuffle_seed)
    }

    fn new(place: Place, repeat: Repeat, shuffle_seed: Option<u64>) -> Self {
        Self {
            place,
            repeat,
            shuffle_seed,
            passes: 0,
            files: 0,
            ahead: Vec::new(),
            begin: None,
        }
    }

    /// Passes begun so far.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// Whether the next file begins a new pass.
    pub fn at_pass_end(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Makes `place` the next file. Where the folder has other files by then, that is the file of the same path; where that is
    /// gone, its pass begins anew.
    pub fn go_on_at(&mut self, place: FilePlace) {
        self.begin = Some(place);
    }

    /// The place of the file that was given last.
    pub fn place(&self, path: &Path) -> FilePlace {
        FilePlace {
            pass: self.passes,
            index: (self.files - self.ahead.len()).saturating_sub(1) as u64,
            path: path.to_owned(),
        }
    }

    /// The next file; none when all passes are over. An error if the folder cannot be read or holds no video.
    pub fn next_file(&mut self) -> Result<Option<PathBuf>, IngestError> {
        if let Some(place) = self.begin.take() {
            self.passes = place.pass.saturating_sub(1);
            self.begin_pass()?;
            match self.ahead.iter().rposition(|path| *path == place.path) {
                Some(found) => self.ahead.truncate(found + 1),
                None => tracing::warn!(
                    path = %place.path.display(),
                    "the file that a stream was in is gone: its pass over the files begins anew"
                ),
            }
        }
        if self.ahead.is_empty() && (self.passes == 0 || self.repeat == Repeat::Endless) {
            self.begin_pass()?;
        }
        Ok(self.ahead.pop())
    }

    fn begin_pass(&mut self) -> Result<(), IngestError> {
        let mut files = match &self.place {
            Place::File(path) => vec![path.clone()],
            Place::Folder(folder) => Self::files_of(folder)?,
        };
        if let Some(seed) = self.shuffle_seed {
            files.shuffle(&mut ChaCha8Rng::seed_from_u64(seed.wrapping_add(self.passes)));
        }
        files.reverse();
        self.files = files.len();
        self.ahead = files;
        self.passes += 1;
        Ok(())
    }

    /// All video files, by their names, in a folder and its subfolders, sorted by path. Links are followed; what cannot be
    /// read below the folder is left out and logged.
    pub fn files_of(folder: &Path) -> Result<Vec<PathBuf>, IngestError> {
        let mut files = Vec::new();
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() && container::is_video_name(entry.path()) => {
                    files.push(entry.into_path());
                }
                Ok(_) => {}
                Err(error) if error.depth() == 0 => {
                    let error = error
                        .io_error()
                        .map_or_else(|| error.to_string(), ToString::to_string);
                    return Err(IngestError::Unreadable {
                        path: folder.to_owned(),
                        message: error,
                    });
                }
                Err(error) => tracing::warn!(%error, "left out of a folder of videos"),
            }
        }
        if files.is_empty() {
            return Err(IngestError::EmptyFolder {
                path: folder.to_owned(),
                looked_for: VIDEO_EXTENSIONS.join(", "),
            });
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("b/deep")).unwrap();
        for name in ["c.mp4", "a.MKV", "b/deep/x.ts", "b/y.h264", "notes.txt", "b/z"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        folder
    }

    fn names(playlist: &mut Playlist, folder: &Path, count: usize) -> Vec<String> {
        let name = |path: PathBuf| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        (0..count)
            .map_while(|_| playlist.next_file().unwrap().map(name))
            .collect()
    }

    #[test]
    fn a_folder_is_read_with_its_subfolders_in_the_order_of_paths() {
        let folder = folder();
        let mut playlist = Playlist::of_folder(folder.path(), Repeat::Once, None);
        assert_eq!(
            names(&mut playlist, folder.path(), 9),
            ["a.MKV", "b/deep/x.ts", "b/y.h264", "c.mp4"]
        );
        assert!(playlist.at_pass_end());
    }

    #[test]
    fn a_seed_shuffles_each_pass_in_its_own_order_and_endless_passes_take_new_files_in() {
        let folder = folder();
        let shuffled = || Playlist::of_folder(folder.path(), Repeat::Endless, Some(5));
        let (mut playlist, mut again) = (shuffled(), shuffled());
        let first = names(&mut playlist, folder.path(), 4);
        assert_eq!(first, names(&mut again, folder.path(), 4));
        std::fs::write(folder.path().join("new.flv"), b"x").unwrap();
        let second = names(&mut playlist, folder.path(), 5);
        assert!(second.contains(&"new.flv".to_owned()));
        let old: Vec<_> = second.iter().filter(|name| *name != "new.flv").cloned().collect();
        let (mut sorted_old, mut sorted_first) = (old.clone(), first.clone());
        sorted_old.sort();
        sorted_first.sort();
        assert_eq!(sorted_old, sorted_first);
        assert_eq!(playlist.passes(), 2);
    }

    #[test]
    fn a_list_goes_on_at_the_file_that_it_was_left_at_even_among_new_files() {
        let folder = folder();
        let shuffled = || Playlist::of_folder(folder.path(), Repeat::Endless, Some(5));
        let mut whole = shuffled();
        let mut places = Vec::new();
        for _ in 0..10 {
            let path = whole.next_file().unwrap().unwrap();
            places.push(whole.place(&path));
        }
        assert_eq!((places[5].pass, places[5].index), (2, 1));
        let mut resumed = shuffled();
        resumed.go_on_at(places[5].clone());
        for place in &places[5..] {
            assert_eq!(resumed.next_file().unwrap().unwrap(), place.path);
            assert_eq!(resumed.place(&place.path), *place);
        }
        let mut sorted = Playlist::of_folder(folder.path(), Repeat::Once, None);
        sorted.next_file().unwrap();
        let second = sorted.next_file().unwrap().unwrap();
        let place = sorted.place(&second);
        std::fs::write(folder.path().join("a.mp4"), b"x").unwrap();
        let mut resumed = Playlist::of_folder(folder.path(), Repeat::Once, None);
        resumed.go_on_at(place.clone());
        assert_eq!(resumed.next_file().unwrap(), Some(second.clone()));
        std::fs::remove_file(&second).unwrap();
        let mut begun_anew = Playlist::of_folder(folder.path(), Repeat::Once, None);
        begun_anew.go_on_at(place);
        assert_eq!(names(&mut begun_anew, folder.path(), 1), ["a.MKV"]);
    }

    #[test]
    fn a_folder_without_videos_is_an_error_that_says_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = Playlist::files_of(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("no video file") && error.contains("mp4"),
            "{error}"
        );
        let error = Playlist::files_of(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, IngestError::Unreadable { .. }), "{error}");
    }
}
