//! Passing connections on, as a Service does: whoever is connected stays with its replica.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{State, lock};

/// Connects each client to the next ready replica.
pub(super) async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        let Ok((client, _)) = accepted else { continue };
        let Some((backend, answers)) = lock(&state).next() else { continue };
        connections.spawn(pass(client, backend.webhook, answers));
    }
}

/// Until one of the two closes, or the replica is given up.
async fn pass(mut client: TcpStream, address: String, mut answers: watch::Receiver<bool>) {
    let Ok(mut replica) = TcpStream::connect(address).await else { return };
    let (Ok(()), Ok(())) = (client.set_nodelay(true), replica.set_nodelay(true)) else { return };
    tokio::select! {
        // How it ended, both sides know.
        _ = copy_bidirectional(&mut client, &mut replica) => {}
        _ = answers.wait_for(|answers| !answers) => {}
    }
}
