package embedded

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// Free ports come from below those that systems give to outgoing connections
// (Linux from 32768, others from 49152, RFC 6335 section 6): one of these could
// otherwise take the port of a server that is not up yet, or down for a moment.
const (
	firstPort = 12_000
	lastPort  = 30_000
)

// FreePorts returns n different ports of the loopback interface on which nobody
// listened a moment ago.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil && tries < 100*n {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		// Held until all are found, so that none comes twice.
		defer func() { _ = l.Close() }()
		ports = append(ports, port)
	}
	return ports, nil
}
