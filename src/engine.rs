pub mod plan; pub mod extract; pub mod content; pub mod compare;
