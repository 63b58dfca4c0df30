//! A real RTSP server in the test's process, which can be killed and started again.
#![allow(dead_code, reason = "each test binary uses its part")]

use gstreamer::{self as gst, prelude::*};
use gstreamer_rtsp_server::{self as rtsp, prelude::*};

/// Serves a live H.264 encode at `/live`. Dropped, it hangs up on everybody and frees its port.
pub struct Server {
    main_loop: gst::glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
    pub port: u16,
}

impl Server {
    /// On a port of the system's choice, or on `port`. With `login`, only for `user` and `password`.
    pub fn start(port: Option<u16>, launch: &str, login: Option<(&str, &str)>) -> Self {
        Self::serve(port, launch, login, |_| {})
    }

    /// Sends nothing any more after the first `frames` pictures of a client, without hanging up.
    pub fn start_muted_after(launch: &str, frames: u64) -> Self {
        Self::serve(None, launch, None, move |factory| {
            factory.connect_media_configure(move |_, media| {
                let bin = media.element().downcast::<gst::Bin>().unwrap();
                let pad = bin.by_name("mute").unwrap().static_pad("src").unwrap();
                let sent = std::sync::atomic::AtomicU64::new(0);
                pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                    match sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                        sent if sent < frames => gst::PadProbeReturn::Ok,
                        _ => gst::PadProbeReturn::Drop,
                    }
                });
            });
        })
    }

    /// `prepare` is given the pipeline of each client's media before it runs.
    pub fn start_prepared(launch: &str, prepare: impl Fn(&gst::Bin) + Send + Sync + 'static) -> Self {
        Self::serve(None, launch, None, move |factory| {
            factory.connect_media_configure(move |_, media| {
                prepare(&media.element().downcast::<gst::Bin>().unwrap());
            });
        })
    }

    fn serve(
        port: Option<u16>,
        launch: &str,
        login: Option<(&str, &str)>,
        prepare: impl FnOnce(&rtsp::RTSPMediaFactory),
    ) -> Self {
        gst::init().unwrap();
        let context = gst::glib::MainContext::new();
        let main_loop = gst::glib::MainLoop::new(Some(&context), false);
        let server = rtsp::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.unwrap_or(0).to_string());
        let factory = rtsp::RTSPMediaFactory::new();
        factory.set_launch(launch);
        factory.set_shared(true);
        prepare(&factory);
        if let Some((user, password)) = login {
            let auth = rtsp::RTSPAuth::new();
            let token = rtsp::RTSPToken::builder()
                .field("media.factory.role", "viewer")
                .build();
            auth.add_basic(&rtsp::RTSPAuth::make_basic(user, password), &token);
            server.set_auth(Some(&auth));
            factory.add_role_from_structure(
                &gst::Structure::builder("viewer")
                    .field("media.factory.access", true)
                    .field("media.factory.construct", true)
                    .build(),
            );
        }
        server.mount_points().unwrap().add_factory("/live", factory);
        let (told, bound) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let main_loop = main_loop.clone();
            move || {
                context
                    .with_thread_default(|| {
                        let source = server
                            .create_source(None::<&rtsp::gio::Cancellable>)
                            .expect("a free port");
                        source.attach(Some(&context));
                        told.send(server.bound_port()).unwrap();
                        main_loop.run();
                        server.client_filter(Some(&mut |_, _| rtsp::RTSPFilterResult::Remove));
                        source.destroy();
                        drop(server);
                        while context.iteration(false) {}
                    })
                    .unwrap();
            }
        });
        let port = u16::try_from(bound.recv().unwrap()).unwrap();
        Self {
            main_loop,
            thread: Some(thread),
            port,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // From within the loop: told before the loop runs, it would not hear of it, and never end.
        let main_loop = self.main_loop.clone();
        self.main_loop.context().invoke(move || main_loop.quit());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
