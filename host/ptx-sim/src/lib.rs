//! Executes and checks PTX on the CPU.
