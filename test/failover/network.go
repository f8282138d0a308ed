//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annals-go/annals/test/fleet"
)

// network is a switch with a cable to each of its hosts. Switch and hosts are
// network namespaces, so nothing of it touches the machine's own network.
type network struct {
	name  string
	hosts int
}

// missing says what the machine lacks for a network of its own.
func missing() []string {
	var lacks []string
	if os.Geteuid() != 0 {
		lacks = append(lacks, "root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		lacks = append(lacks, "the command ip (package iproute2)")
	}
	return lacks
}

// newNetwork makes a network with as many hosts. It leaves nothing behind when
// it fails.
func newNetwork(ctx context.Context, hosts int) (*network, error) {
	n := &network{name: fmt.Sprintf("annals%d", os.Getpid()), hosts: hosts}
	lines := []string{
		"netns add " + n.hub(),
		"-n " + n.hub() + " link add switch type bridge",
		"-n " + n.hub() + " link set switch up",
	}
	for h := range hosts {
		lines = append(lines,
			"netns add "+n.host(h),
			fmt.Sprintf("-n %s link add %s type veth peer name eth0 netns %s", n.hub(), cable(h), n.host(h)),
			fmt.Sprintf("-n %s link set %s master switch up", n.hub(), cable(h)),
			fmt.Sprintf("-n %s addr add %s/24 dev eth0", n.host(h), n.address(h)),
			fmt.Sprintf("-n %s link set eth0 up", n.host(h)),
			fmt.Sprintf("-n %s link set lo up", n.host(h)),
		)
	}
	for _, line := range lines {
		if err := ip(ctx, line); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

func (n *network) hub() string          { return n.name + "-switch" }
func (n *network) host(h int) string    { return fmt.Sprintf("%s-%d", n.name, h+1) }
func (n *network) address(h int) string { return fmt.Sprintf("10.213.0.%d", h+1) }
func cable(h int) string                { return fmt.Sprintf("cable%d", h+1) }

// cut pulls a host's cable out of the switch.
func (n *network) cut(ctx context.Context, h int) error {
	return ip(ctx, fmt.Sprintf("-n %s link set %s down", n.hub(), cable(h)))
}

// mend plugs it in again.
func (n *network) mend(ctx context.Context, h int) error {
	return ip(ctx, fmt.Sprintf("-n %s link set %s up", n.hub(), cable(h)))
}

// close removes the network; the cables go with the namespaces.
func (n *network) close() error {
	var errs []error
	for _, name := range append([]string{n.hub()}, n.names()...) {
		if _, err := os.Stat(namespaceFile(name)); err == nil {
			errs = append(errs, ip(context.Background(), "netns del "+name))
		}
	}
	return errors.Join(errs...)
}

func (n *network) names() []string {
	var all []string
	for h := range n.hosts {
		all = append(all, n.host(h))
	}
	return all
}

// places are the hosts, as the fleet takes them.
func (n *network) places() []fleet.Place {
	var all []fleet.Place
	for h := range n.hosts {
		all = append(all, fleet.Place{
			Host: n.address(h), Enter: []string{"ip", "netns", "exec", n.host(h)}, Dial: dialFrom(n.host(h)),
		})
	}
	return all
}

func namespaceFile(name string) string { return "/run/netns/" + name }

// dialFrom connects from inside a namespace: a socket stays where it was made,
// so only the thread that makes it has to go there.
func dialFrom(name string) func(network, address string) (net.Conn, error) {
	return func(network, address string) (c net.Conn, err error) {
		inside := func() error {
			c, err = net.DialTimeout(network, address, 2*time.Second)
			return err
		}
		if entered := enter(name, inside); entered != nil {
			return nil, entered
		}
		return c, nil
	}
}

// enter runs f on a thread that is in the namespace meanwhile. A thread that
// cannot come back stays locked, and ends with the goroutine.
func enter(name string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := visit(name, f)
		if home {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// visit reports whether the thread is home again.
func visit(name string, f func() error) (home bool, err error) {
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return true, err
	}
	defer func() { _ = here.Close() }()
	there, err := os.Open(namespaceFile(name))
	if err != nil {
		return true, err
	}
	defer func() { _ = there.Close() }()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return true, fmt.Errorf("enter namespace %s: %w", name, err)
	}
	err = f()
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		return false, errors.Join(err, back)
	}
	return true, err
}

func ip(ctx context.Context, line string) error {
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}
