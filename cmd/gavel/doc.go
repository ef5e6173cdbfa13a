// Command gavel is what people and scripts use of a fleet: submit problems,
// follow them, stop one job or all of them; and two fleets in one process, gavel
// dev to play with and gavel demo to see the main job played. See gavel --help
// and package cli, which it is made of.
package main
