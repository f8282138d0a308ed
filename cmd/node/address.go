package node

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/annals-go/annals/cmd/node/console"
)

// address is where to listen, as a flag says it.
type address struct {
	host string
	port int // 0: a free one
	// chosen is set when the user named the address. Only one that nobody chose
	// may give way to another port.
	chosen bool
}

// parseAddress reads HOST:PORT, or PORT alone. Without a host it is the
// loopback interface: nothing here asks for credentials.
func parseAddress(flag, text string, chosen bool) (address, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = "", text
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, Usage("--%s %q: want HOST:PORT, with a port from 0 (a free one) to 65535", flag, text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return address{host: host, port: int(n), chosen: chosen}, nil
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// public reports whether others than this machine may reach the address.
func (a address) public() bool {
	ip := net.ParseIP(a.host)
	return a.host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// free is the same host with a free port.
func (a address) free() address { return address{host: a.host, chosen: a.chosen} }

// listen listens at a, or at a free port if a is taken and nobody chose it.
func (a address) listen(flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", a.String())
	if errors.Is(err, syscall.EADDRINUSE) && !a.chosen {
		l, err = net.Listen("tcp", a.free().String())
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, portTaken(flag, a, err)
	}
	if err != nil {
		return nil, &Failure{Code: codeFailure, Exit: console.ExitFailure, What: fmt.Sprintf("cannot listen on %s for HTTP", a), Why: err.Error(), Fix: "name another address with --" + flag, Err: err}
	}
	return l, nil
}

func portTaken(flag string, a address, err error) *Failure {
	return &Failure{
		Code: codePortTaken, Exit: console.ExitFailure,
		What: fmt.Sprintf("cannot listen on %s, which --%s names", a, flag),
		Why:  "somebody else listens there",
		Fix:  fmt.Sprintf("name another address, or let a free port be found: --%s %s", flag, a.free()),
		Err:  err,
	}
}
