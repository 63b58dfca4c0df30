//! Files and HLS behind HTTP: a small server in the test's process.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;
#[path = "media/stream.rs"]
mod stream;

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
};

use comove::ingest::{SegmentEndReason, StreamConfig, StreamState};
use stream::{Stream, quick};

/// Serves a folder until the process ends; with `login`, the base64 of `user:password`, to those only who send it.
fn serve(folder: &Path, login: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let folder = folder.clone();
            // A client that hangs up in the middle is no fault.
            std::thread::spawn(move || drop(answer(client, folder, login)));
        }
    });
    port
}

fn answer(mut client: TcpStream, folder: PathBuf, login: Option<&str>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let headers: Vec<_> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = request
        .split_whitespace()
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/')
        .to_owned();
    let welcome = login.is_none_or(|login| headers.iter().any(|line| line.ends_with(login)));
    let (status, body) = match std::fs::read(folder.join(path)) {
        _ if !welcome => (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"",
            Vec::new(),
        ),
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    client.write_all(&body)
}

async fn open(uri: String) -> Stream {
    Stream::spawn(StreamConfig::from_argument(&uri).unwrap(), quick(), 16).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_behind_http_comes_whole_and_ends_its_stream() {
    let folder = tempfile::tempdir().unwrap();
    media::h264(50, "matroskamux", &folder.path().join("x.mkv"));
    media::h264(50, "mp4mux faststart=true", &folder.path().join("x.mp4"));
    let port = serve(folder.path(), None);
    for name in ["x.mkv", "x.mp4"] {
        let stream = open(format!("http://127.0.0.1:{port}/{name}")).await;
        let seen = stream.take_all().await;
        assert_eq!(seen.units.len(), 50, "{name}");
        assert_eq!(seen.ends, [(0, SegmentEndReason::EndOfSource)], "{name}");
        drop(seen);
        stream.put_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_comes_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 {
        media::h264(50, "mpegtsmux", &folder.path().join(format!("{number}.ts")));
    }
    let piece = |number| format!("#EXT-X-DISCONTINUITY\n#EXTINF:2.0,\n{number}.ts\n");
    let pieces: String = (0..3).map(piece).collect();
    let list = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n{pieces}#EXT-X-ENDLIST\n"
    );
    std::fs::write(folder.path().join("live.m3u8"), list).unwrap();
    let port = serve(folder.path(), None);
    let stream = open(format!("http://127.0.0.1:{port}/live.m3u8")).await;
    let seen = stream.take_all().await;
    assert_eq!(seen.units.len(), 150);
    assert!(
        seen.units.last().unwrap().segment >= 2,
        "each piece is a discontinuity"
    );
    drop(seen);
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_used_and_never_shown_and_a_missing_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    media::h264(25, "matroskamux", &folder.path().join("x.mkv"));
    // base64 of `bob:hunter2`.
    let port = serve(folder.path(), Some("Ym9iOmh1bnRlcjI="));
    let stream = open(format!("http://bob:hunter2@127.0.0.1:{port}/x.mkv")).await;
    assert_eq!(stream.take_all().await.units.len(), 25);
    stream.put_down().await;

    let stream = open(format!("http://bob:hunter2@127.0.0.1:{port}/none.mkv?key=sesame")).await;
    let at = stream
        .wait_for(0, |report| report.state == StreamState::BackingOff)
        .await;
    let text = format!("{:?}", stream.reports()[at - 1]);
    assert!(
        text.contains("Not Found") && text.contains("none.mkv?key=***"),
        "{text}"
    );
    assert!(
        ["bob", "hunter2", "sesame"]
            .iter()
            .all(|secret| !text.contains(secret)),
        "{text}"
    );
    stream.put_down().await;
}
