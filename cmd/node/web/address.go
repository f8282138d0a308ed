package web

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
)

// CodePortTaken is the code of [Address.Taken].
const CodePortTaken gateway.Code = "PORT_TAKEN"

// Address is where to listen, as a flag says it.
type Address struct {
	// Host is a name or an IP address.
	Host string
	// Port 0 is a free one.
	Port int
	// Chosen is set when the user named the address. Only one that nobody chose
	// may give way to another port.
	Chosen bool
}

// ParseAddress reads HOST:PORT, or PORT alone. Without a host it is the
// loopback interface: nothing here asks for credentials unless told to. The error
// is a [*console.Failure] that names the flag.
func ParseAddress(flag, text string, chosen bool) (Address, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = "", text
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Address{}, console.Usage("--%s %q: want HOST:PORT, with a port from 0 (a free one) to 65535", flag, text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return Address{Host: host, Port: int(n), Chosen: chosen}, nil
}

// String is HOST:PORT.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// Public reports whether others than this machine may reach the address.
func (a Address) Public() bool {
	ip := net.ParseIP(a.Host)
	return a.Host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// free is the same host with a free port.
func (a Address) free() Address { return Address{Host: a.Host, Chosen: a.Chosen} }

// listen listens at a, or at a free port if a is taken and nobody chose it.
func (a Address) listen(flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", a.String())
	if errors.Is(err, syscall.EADDRINUSE) && !a.Chosen {
		l, err = net.Listen("tcp", a.free().String())
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, a.Taken(flag, err)
	}
	if err != nil {
		return nil, &console.Failure{Code: console.CodeFailure, Exit: console.ExitFailure, What: fmt.Sprintf("cannot listen on %s for HTTP", a), Why: err.Error(), Fix: "name another address with --" + flag, Err: err}
	}
	return l, nil
}

// Taken is the failure for an address where somebody else listens, and which does
// not give way; err is the cause.
func (a Address) Taken(flag string, err error) *console.Failure {
	return &console.Failure{
		Code: CodePortTaken, Exit: console.ExitFailure,
		What: fmt.Sprintf("cannot listen on %s, which --%s names", a, flag),
		Why:  "somebody else listens there",
		Fix:  fmt.Sprintf("name another address, or let a free port be found: --%s %s", flag, a.free()),
		Err:  err,
	}
}
