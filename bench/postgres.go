package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// startPostgres runs a PostgreSQL of our own on a free port until stop is
// called. It refuses to run as root, so root runs it as the user postgres. It
// syncs nothing to disk, which is to its advantage.
func startPostgres(ctx context.Context) (url string, stop func(), err error) {
	bin, err := exec.LookPath("pg_ctl")
	if err != nil {
		return "", nil, errors.New("no pg_ctl on the PATH; install PostgreSQL, or leave River out with -only")
	}
	if real, err := filepath.EvalSymlinks(bin); err == nil {
		bin = real
	}
	dir, err := os.MkdirTemp("", "bench-pg")
	if err != nil {
		return "", nil, err
	}
	as := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		if as.Credential, err = credentialOf("postgres"); err != nil {
			return "", nil, err
		}
		if err := os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			return "", nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	data := filepath.Join(dir, "data")
	ctl := func(ctx context.Context, args ...string) error {
		cmd := exec.CommandContext(ctx, bin, args...)
		cmd.SysProcAttr, cmd.Dir = as, dir
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("pg_ctl %s: %w", args[0], err)
		}
		return nil
	}
	if err := ctl(ctx, "initdb", "-D", data, "-o", "-A trust -U bench -N"); err != nil {
		return "", nil, err
	}
	opts := fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1 -c max_connections=200 -c fsync=off -c synchronous_commit=off", port, dir)
	if err := ctl(ctx, "start", "-w", "-D", data, "-l", filepath.Join(dir, "log"), "-o", opts); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = ctl(context.WithoutCancel(ctx), "stop", "-D", data, "-m", "immediate")
		_ = os.RemoveAll(dir)
	}
	return fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres", port), stop, nil
}

func credentialOf(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
