//! Tests of whole temporal units.
