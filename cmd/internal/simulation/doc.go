// Package simulation is the simulated model server as a process: its flags, and
// its listener. The server itself is internal/modelsim.
//
// The binary modelsim and the command gavel modelsim are both this.
package simulation
