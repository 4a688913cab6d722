//! A user's own connections to PostgreSQL.

use cronx_servers::Server;
use tokio_postgres::{Client, NoTls};

/// Where a database is.
pub fn url(server: &Server, name: &str) -> String {
    format!("postgres://cronx@127.0.0.1:{}/{name}", server.port)
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Makes an empty one, and says where it is.
#[cfg(any(feature = "journal", feature = "saga"))]
pub async fn make(server: &Server, name: &str) -> String {
    let admin = connect(&url(server, "postgres")).await;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    url(server, name)
}
