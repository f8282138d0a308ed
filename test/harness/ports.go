package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports of servers come from below those that the system gives to outgoing
// connections: one of these could otherwise take the port of a server that is
// down for a moment.
const (
	firstPort = 12_000
	lastPort  = 30_000
)

// FreePorts returns distinct ports of the loopback interface that were free a
// moment ago.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil && tries < 100*n {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all at the end, so that no port comes twice
		ports = append(ports, port)
	}
	return ports, nil
}
