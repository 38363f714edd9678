//! The native contract, `/v1`.

use axum::Router;

use crate::serve::state::ServeState;

/// Returns its routes.
pub fn router() -> Router<ServeState> {
    Router::new()
}
