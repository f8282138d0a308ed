package web

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/console"
)

// Health is whether a node is ready to serve, and why not. It is safe for
// concurrent use.
type Health struct {
	mu     sync.Mutex
	parts  []Check // in the order of starting
	serves bool    // everything is up and announced
	probe  func() []Check
}

// Check is one thing that must hold before a node is ready.
type Check struct {
	// Name is what /readyz calls it.
	Name string
	// Reason says why it does not hold; "" if it does.
	Reason string
	// Bearable says that the node serves without it, for what it can.
	Bearable bool
}

func (c Check) holds() bool { return c.Reason == "" || c.Bearable }

// Expect names the parts that the node will have, none of which is started.
func (h *Health) Expect(parts []boot.Part) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range parts {
		h.parts = append(h.parts, Check{Name: p.Name, Reason: "not started"})
	}
}

// Set takes down the state of a part. Once one stops the node is not ready any
// more.
func (h *Health) Set(name string, state boot.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if state == boot.Stopping {
		h.serves = false
	}
	reason := string(state)
	if state == boot.Running {
		reason = ""
	}
	if i := slices.IndexFunc(h.parts, func(c Check) bool { return c.Name == name }); i >= 0 {
		h.parts[i].Reason = reason
	}
}

// Announce tells that everything is up and that the user was told where: before
// it the node is not ready.
func (h *Health) Announce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serves = true
}

// checks returns all checks, and whether the node is ready.
func (h *Health) checks() ([]Check, bool) {
	h.mu.Lock()
	checks, ready := slices.Clone(h.parts), h.serves
	h.mu.Unlock()
	if ready && h.probe != nil {
		checks = append(checks, h.probe()...)
	}
	missing := slices.ContainsFunc(checks, func(c Check) bool { return !c.holds() })
	return checks, ready && !missing
}

// handler is that of /readyz: 200 or 503, and with the reasons when not
// ready or when asked by ?verbose, for whoever may see how the system is doing.
func (h *Health) handler(access Access) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		checks, ready := h.checks()
		if ready && !r.URL.Query().Has("verbose") || !access.sees(r) {
			checks = nil
		}
		answerReady(w, ready, checks)
	}
}

func answerReady(w http.ResponseWriter, ready bool, reasons []Check) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	writeChecks(w, reasons)
	if ready {
		fmt.Fprintln(w, "ready")
	} else {
		fmt.Fprintln(w, "not ready")
	}
}

func writeChecks(w io.Writer, checks []Check) {
	for _, c := range checks {
		switch {
		case c.Reason == "":
			fmt.Fprintf(w, "[+] %s\n", c.Name)
		case c.Bearable:
			fmt.Fprintf(w, "[!] %s: %s\n", c.Name, console.Printable(c.Reason))
		default:
			fmt.Fprintf(w, "[-] %s: %s\n", c.Name, console.Printable(c.Reason))
		}
	}
}

// live is the handler of /livez: the process answers, and that is all.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "alive")
}
