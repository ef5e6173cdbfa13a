package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// apart marks a process that has a network of its own.
const apart = "TORTURE_NETWORK"

// ErrNoNetwork is wrapped when this machine gives no network of one's own, in
// which nodes could be split from nodes.
var ErrNoNetwork = errors.New("no network of its own")

// OwnNetwork says whether this process has a network of its own: what is dropped
// there, nobody else misses.
func OwnNetwork() bool { return os.Getenv(apart) != "" }

// InOwnNetwork runs this program again, with the same arguments, in a network
// that nobody else is in, and returns its exit code.
func InOwnNetwork(ctx context.Context) (int, error) {
	if _, err := exec.LookPath("iptables"); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	if out, err := inNetwork(exec.CommandContext(ctx, "iptables", "-L", "INPUT")).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %w %s", ErrNoNetwork, err, out)
	}
	cmd := inNetwork(exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...))
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), apart+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err := cmd.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	return 0, nil
}

func inNetwork(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 { // who is nobody here is somebody there
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// raise gives this process's own network the addresses of this machine.
func raise(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("raise the network: %w: %s", err, out)
	}
	return nil
}

// split drops every packet between two groups of addresses.
func split(ctx context.Context, here, there []string) error {
	for _, a := range here {
		for _, b := range there {
			for _, way := range [][]string{{"-s", a, "-d", b}, {"-s", b, "-d", a}} {
				out, err := exec.CommandContext(ctx, "iptables", append([]string{"-A", "INPUT", "-j", "DROP"}, way...)...).CombinedOutput()
				if err != nil {
					return fmt.Errorf("split %s from %s: %w: %s", a, b, err, out)
				}
			}
		}
	}
	return nil
}

// rejoin takes every split back, and counts the packets that were dropped.
func rejoin(ctx context.Context) (dropped int64, err error) {
	out, err := exec.CommandContext(ctx, "iptables", "-L", "INPUT", "-v", "-x", "-n").Output()
	if err != nil {
		return 0, fmt.Errorf("count what was dropped: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "DROP" {
			n, _ := strconv.ParseInt(f[0], 10, 64) // a number by -x
			dropped += n
		}
	}
	if out, err := exec.CommandContext(ctx, "iptables", "-F", "INPUT").CombinedOutput(); err != nil {
		return dropped, fmt.Errorf("join what was split: %w: %s", err, out)
	}
	return dropped, nil
}
