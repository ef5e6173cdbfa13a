package rig

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// inodeOf finds the socket at the other end of an accepted connection, by the
// kernel's table: our calls carry no name of the worker that makes them, and
// the witness takes nobody's word for it.
func inodeOf(c net.Conn) string {
	addr, ok := c.RemoteAddr().(*net.TCPAddr)
	own, is := c.LocalAddr().(*net.TCPAddr)
	if !ok || !is {
		return ""
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	// A port may be in use more than once, towards different servers.
	from, to := fmt.Sprintf("0100007F:%04X", addr.Port), fmt.Sprintf("0100007F:%04X", own.Port)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[1] == from && fields[2] == to && fields[9] != "0" {
			return fields[9]
		}
	}
	return ""
}

// holds says whether a process has that socket.
func holds(pid int, inode string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && to == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}
