use std::time::Duration;

use gstreamer::{self as gst, prelude::*};

use super::{RedactedUri, Transport};

/// Sets up rtspsrc. Credentials go into properties, not into the location, so that no message can repeat them.
pub(super) fn configure_rtsp(
    source: &gst::Element,
    uri: &RedactedUri,
    transport: Transport,
    latency: Duration,
) {
    source.set_property("location", uri.without_credentials());
    set_credentials(source, uri);
    source.set_property_from_str(
        "protocols",
        match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp-mcast+udp",
        },
    );
    source.set_property("latency", u32::try_from(latency.as_millis()).unwrap_or(u32::MAX));
    // A server that is gone would hold the way to NULL up.
    source.set_property("teardown-timeout", Duration::from_millis(500).as_nanos() as u64);
    // Sound is not even asked for.
    source.connect("select-stream", false, |values| {
        let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let media = caps
            .as_ref()
            .and_then(|caps| caps.structure(0)?.get::<String>("media").ok());
        Some((media.as_deref() != Some("audio")).to_value())
    });
}

/// Sets up urisourcebin, whose own source appears later.
pub(super) fn configure_http(source: &gst::Element, uri: &RedactedUri) {
    source.set_property("uri", uri.without_credentials());
    let uri = uri.clone();
    source.connect("source-setup", false, move |values| {
        if let Some(Ok(http)) = values.get(1).map(|value| value.get::<gst::Element>()) {
            set_credentials(&http, &uri);
        }
        None
    });
}

fn set_credentials(element: &gst::Element, uri: &RedactedUri) {
    let Some(credentials) = uri.credentials() else {
        return;
    };
    for (property, value) in [("user-id", credentials.user), ("user-pw", credentials.password)] {
        if element.find_property(property).is_some() {
            element.set_property(property, value);
        }
    }
}
