//! Prints the OpenAPI document. `make openapi` keeps it in openapi.json.

fn main() {
    println!("{:#}", estop::openapi::document());
}
