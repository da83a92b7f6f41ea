//! How all modules speak to a server.

use anyhow::Result;
use tokensmith::ansible::Task;
use tokensmith::http::{Client, Connection};

/// A client after the options of `fragments/http.yml`. Nothing is sent yet.
pub(crate) fn client(task: &Task, connection: &Connection) -> Result<Client> {
    if !connection.validate_certs {
        task.warn("The server's certificate is not checked: anybody between here and the server can read and replace the tokens.");
    }
    Ok(Client::new(connection)?)
}
