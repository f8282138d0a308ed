package node

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/console"
)

// health answers whether the node lives and whether it is ready to serve.
type health struct {
	mu     sync.Mutex
	parts  []check // in the order of starting
	serves bool    // everything is up and announced
	// probe looks at what may change while the parts run. May be nil.
	probe func() []check
	// access says who may see the reasons.
	access httpAccess
}

// check is one thing that must hold before the node is ready.
type check struct {
	name   string
	reason string // why it does not hold; "" if it does
	// bearable: the node serves without it, for what it can.
	bearable bool
}

func (c check) holds() bool { return c.reason == "" || c.bearable }

// expect names the parts that the node will have.
func (h *health) expect(parts []boot.Part) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range parts {
		h.parts = append(h.parts, check{name: p.Name, reason: "not started"})
	}
}

// set takes down the state of a part.
func (h *health) set(name string, state boot.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if state == boot.Stopping {
		h.serves = false
	}
	reason := string(state)
	if state == boot.Running {
		reason = ""
	}
	if i := slices.IndexFunc(h.parts, func(c check) bool { return c.name == name }); i >= 0 {
		h.parts[i].reason = reason
	}
}

// announce tells that everything is up and that the user was told where.
func (h *health) announce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serves = true
}

// checks returns all checks, and whether the node is ready.
func (h *health) checks() ([]check, bool) {
	h.mu.Lock()
	checks, ready := slices.Clone(h.parts), h.serves
	h.mu.Unlock()
	if ready && h.probe != nil {
		checks = append(checks, h.probe()...)
	}
	missing := slices.ContainsFunc(checks, func(c check) bool { return !c.holds() })
	return checks, ready && !missing
}

// ready is the handler of /readyz: 200 or 503, and with the reasons when not
// ready or when asked by ?verbose, for whoever may see how the system is doing.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	checks, ready := h.checks()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if (!ready || r.URL.Query().Has("verbose")) && h.access.sees(r) {
		writeChecks(w, checks)
	}
	if ready {
		fmt.Fprintln(w, "ready")
	} else {
		fmt.Fprintln(w, "not ready")
	}
}

func writeChecks(w io.Writer, checks []check) {
	for _, c := range checks {
		switch {
		case c.reason == "":
			fmt.Fprintf(w, "[+] %s\n", c.name)
		case c.bearable:
			fmt.Fprintf(w, "[!] %s: %s\n", c.name, console.Printable(c.reason))
		default:
			fmt.Fprintf(w, "[-] %s: %s\n", c.name, console.Printable(c.reason))
		}
	}
}

// live is the handler of /livez: the process answers, and that is all.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "alive")
}
