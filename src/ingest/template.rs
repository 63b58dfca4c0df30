use std::path::{Path, PathBuf};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;

use super::IngestError;

/// The pipelines that comove is built with, by name. Text of a file or URI is never put into them: it is set as a property.
const BUILT_IN: [(&str, &str); 10] = [
    ("mp4", include_str!("../../pipelines/mp4.launch")),
    ("matroska", include_str!("../../pipelines/matroska.launch")),
    ("mpegts", include_str!("../../pipelines/mpegts.launch")),
    ("flv", include_str!("../../pipelines/flv.launch")),
    ("avi", include_str!("../../pipelines/avi.launch")),
    ("annexb", include_str!("../../pipelines/annexb.launch")),
    ("rtsp", include_str!("../../pipelines/rtsp.launch")),
    ("http", include_str!("../../pipelines/http.launch")),
    (
        "synthetic-x264",
        include_str!("../../pipelines/synthetic-x264.launch"),
    ),
    (
        "synthetic-openh264",
        include_str!("../../pipelines/synthetic-openh264.launch"),
    ),
];

/// Pipeline texts: the built-in ones, or a folder's where it has one of the same name.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    folder: Option<PathBuf>,
}

/// A pipeline made of a template, with the elements that comove handles.
#[derive(Debug)]
pub(super) struct Assembly {
    pub pipeline: gst::Pipeline,
    /// `source`: has the location.
    pub source: gst::Element,
    /// `tracks`, else the source: the element whose pads appear when the tracks are known. None where `source` and `video`
    /// are linked in the text.
    pub tracks: Option<gst::Element>,
    /// `video`: takes the H.264 track.
    pub video: gst::Element,
    /// `units`: where access units come out.
    pub units: gst_app::AppSink,
}

impl Templates {
    /// The built-in templates, overridden by those of `folder`. Fails if the folder cannot be read or holds a `.launch` file
    /// that overrides nothing, which is a misspelt name.
    pub fn new(folder: Option<&Path>) -> Result<Self, IngestError> {
        let Some(folder) = folder else {
            return Ok(Self::default());
        };
        let unreadable = |error: std::io::Error| IngestError::unreadable(folder, &error);
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let launch = path.extension().is_some_and(|extension| extension == "launch");
            if launch && !BUILT_IN.iter().any(|(name, _)| *name == stem) {
                let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                return Err(IngestError::Template {
                    message: format!("no pipeline has this name; known are {}", names.join(", ")),
                    path,
                });
            }
        }
        Ok(Self {
            folder: Some(folder.to_owned()),
        })
    }

    /// Builds every template once and throws it away: for `comove check`. Elements that are not installed are errors here.
    pub fn check(&self) -> Vec<IngestError> {
        let names = BUILT_IN.iter().map(|(name, _)| *name);
        names.filter_map(|name| self.assemble(name).err()).collect()
    }

    fn text(&self, name: &str) -> Result<(PathBuf, String), IngestError> {
        if let Some(folder) = &self.folder {
            let path = folder.join(name).with_extension("launch");
            if path.exists() {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| IngestError::unreadable(&path, &error))?;
                return Ok((path, text));
            }
        }
        let path = PathBuf::from(format!("{name}.launch"));
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Ok((path, (*text).to_owned())),
            None => Err(IngestError::Template {
                path,
                message: "there is no such template".to_owned(),
            }),
        }
    }

    /// Builds the pipeline `name` and finds its elements.
    pub(super) fn assemble(&self, name: &str) -> Result<Assembly, IngestError> {
        IngestError::init_gstreamer()?;
        let (path, text) = self.text(name)?;
        let wrong = |message: String| IngestError::Template {
            path: path.clone(),
            message,
        };
        let code = |line: &&str| !line.trim_start().starts_with('#');
        let text = text.lines().filter(code).collect::<Vec<_>>().join("\n");
        let pipeline = gst::parse::launch_full(&text, None, gst::ParseFlags::FATAL_ERRORS)
            .map_err(|error| wrong(error.message().to_owned()))?
            .downcast::<gst::Pipeline>()
            .map_err(|_| wrong("a pipeline needs more than one element".to_owned()))?;
        let element = |name: &str| pipeline.by_name(name);
        let needed =
            |name: &str| element(name).ok_or_else(|| wrong(format!("it has no element named `{name}`")));
        let (source, video) = (needed("source")?, needed("video")?);
        let units = needed("units")?
            .downcast::<gst_app::AppSink>()
            .map_err(|_| wrong("`units` must be an appsink".to_owned()))?;
        units.set_property("sync", false);
        let linked = video.static_pad("sink").is_some_and(|pad| pad.is_linked());
        let tracks = (!linked).then(|| element("tracks").unwrap_or_else(|| source.clone()));
        Ok(Assembly {
            pipeline,
            source,
            tracks,
            video,
            units,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_pipeline_can_be_built() {
        assert_eq!(Templates::default().check(), []);
    }

    #[test]
    fn a_folder_overrides_pipelines_and_misspelt_names_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("mp4.launch", "# mine\nfilesrc name=source ! qtdemux name=tracks");
        let templates = Templates::new(Some(folder.path())).unwrap();
        let error = templates.assemble("mp4").unwrap_err().to_string();
        assert!(
            error.contains("mp4.launch: it has no element named `video`"),
            "{error}"
        );
        write("mp4.launch", "filesrc ! nosuchelement");
        let error = templates.assemble("mp4").unwrap_err().to_string();
        assert!(error.contains("nosuchelement"), "{error}");
        assert!(templates.assemble("matroska").is_ok());
        write("mkv.launch", "");
        let error = Templates::new(Some(folder.path())).unwrap_err().to_string();
        assert!(
            error.contains("mkv.launch") && error.contains("known are mp4"),
            "{error}"
        );
    }
}
