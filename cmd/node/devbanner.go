package node

import (
	"fmt"
	"strings"
	"time"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/web"
)

// devInfo is what dev tells programs when it is up.
type devInfo struct {
	NATS       string   `json:"nats"`
	HTTP       string   `json:"http"`
	Probes     string   `json:"probes,omitempty"` // if they are elsewhere
	Namespace  string   `json:"namespace"`
	Nodes      []string `json:"nodes,omitempty"` // if there are several
	Data       string   `json:"data"`            // directory; empty: in memory
	Durability string   `json:"durability"`
	Aggregates []string `json:"aggregates"`
	Views      []string `json:"views"`
	ViewStore  string   `json:"view_store"` // where they are kept
	ReadyMS    int64    `json:"ready_ms"`
}

func (c devConfig) info(s *Session, nats string, w *web.Server, took time.Duration) devInfo {
	return devInfo{
		NATS: nats, HTTP: w.URL(), Probes: w.ProbesURL(), Namespace: s.Namespace(), Nodes: c.nodeNames(),
		Data: c.dir, ViewStore: c.views.String(), Durability: c.durability(), ReadyMS: took.Milliseconds(),
		Aggregates: s.app.typeNames(), Views: s.app.viewNames(),
	}
}

// durability says in one line what this deployment can lose.
func (c devConfig) durability() string {
	switch {
	case c.dir == "":
		return "everything is lost when this process ends"
	case c.sync == embedded.SyncNone:
		return "survives a crash of the process; a power cut loses minutes of acknowledged commands, or everything"
	case c.nodes > 1:
		return "acknowledged commands survive a crash and a power cut; there are three copies, all on this disk"
	default:
		return "acknowledged commands survive a crash and a power cut; there is one copy, on this disk"
	}
}

// announce prints where the system is reached.
func (c devConfig) announce(s *Session, info devInfo) error {
	switch {
	case s.JSON():
		return s.Print(info)
	case c.headless:
		probes := ""
		if info.Probes != "" {
			probes = "PROBES " + info.Probes + "\n"
		}
		_, err := fmt.Fprintf(s.Out(), "NATS %s\nHTTP %s\n%s", info.NATS, info.HTTP, probes)
		return err
	default:
		return c.banner(s, info).print(s.Out())
	}
}

func (c devConfig) banner(s *Session, info devInfo) *banner {
	var b banner
	first, _, _ := strings.Cut(info.NATS, ",")
	how := "one node"
	if c.nodes > 1 {
		how = fmt.Sprintf("%d nodes on %d servers", c.nodes, devServers)
	}
	b.title(s, "dev: "+c.access.words(c.asked.web.Verifier() != nil)+", "+how)
	b.head = append(b.head,
		row("NATS", info.NATS, gaveWay(c.nats, first)),
		row("HTTP", info.HTTP+web.Paths(true, info.Probes == ""), gaveWay(c.http, info.HTTP)))
	b.probes(info.Probes)
	if info.Data == "" {
		b.head = append(b.head, row("Data", "in memory: "+info.Durability, "keep it: --data DIR"))
	} else {
		b.head = append(b.head, row("Data", info.Data+": "+info.Durability, ""))
	}
	if c.nodes > 1 {
		b.head = append(b.head, row("Nodes", strings.Join(info.Nodes, ", "), "see: "+s.app.Name+" cluster nodes"))
	}
	if c.views.kind != viewsKV {
		hint := ""
		if info.Data == "" {
			hint = "removed when this process ends"
		}
		b.head = append(b.head, row("View store", c.views.String(), hint))
	}
	b.application(s.app)
	b.tail = append(b.tail, row("Ready", fmt.Sprintf("in %d ms", info.ReadyMS), ""))
	if try := c.access.shown(s.try(first), s.Namespace()); try != "" {
		b.tail = append(b.tail, "", row("Try", try, ""))
	}
	return &b
}

// warn tells what may surprise an operator later.
func (c devConfig) warn(s *Session) {
	if c.nats.Public() && !c.access.closed() { // HTTP does not come so far
		s.Logger().Warn("other machines may connect, and nothing asks them for credentials", "flag", "--nats", "address", c.nats.String())
	}
}
