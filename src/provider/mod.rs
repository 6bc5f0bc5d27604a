//! The providers' wire formats.
