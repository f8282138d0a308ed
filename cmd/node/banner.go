package node

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/annals-go/annals/cluster/embedded"
)

// bannerLines is the most that dev says when it is up.
const bannerLines = 12

// devInfo is what dev tells programs when it is up.
type devInfo struct {
	NATS       string   `json:"nats"`
	HTTP       string   `json:"http"`
	Namespace  string   `json:"namespace"`
	Data       string   `json:"data"` // directory; empty: in memory
	Durability string   `json:"durability"`
	Aggregates []string `json:"aggregates"`
	Views      []string `json:"views"`
	ReadyMS    int64    `json:"ready_ms"`
}

func (n *devNode) info(took time.Duration) devInfo {
	i := devInfo{
		NATS: n.server.URL(), HTTP: "http://" + n.listener.Addr().String(), Namespace: n.session.Namespace(),
		Data: n.config.dir, Durability: durability(n.config), ReadyMS: took.Milliseconds(),
		Aggregates: []string{}, Views: []string{},
	}
	for _, a := range n.session.app.Aggregates {
		i.Aggregates = append(i.Aggregates, a.TypeName())
	}
	for _, p := range n.session.app.Projections {
		i.Views = append(i.Views, p.Describe().Name)
	}
	return i
}

// durability says in one line what this deployment can lose.
func durability(c devConfig) string {
	switch {
	case c.dir == "":
		return "everything is lost when this process ends"
	case c.sync == embedded.SyncNone:
		return "survives a crash of the process; a power cut loses minutes of acknowledged commands, or everything"
	default:
		return "acknowledged commands survive a crash and a power cut; there is one copy, on this disk"
	}
}

// announce prints where the node is reached.
func (n *devNode) announce(took time.Duration) error {
	s, info := n.session, n.info(took)
	switch {
	case s.JSON():
		return s.Print(info)
	case n.config.headless:
		_, err := fmt.Fprintf(s.Out(), "NATS %s\nHTTP %s\n", info.NATS, info.HTTP)
		return err
	default:
		_, err := io.WriteString(s.Out(), n.banner(info))
		return err
	}
}

func (n *devNode) banner(info devInfo) string {
	s, y := n.session, n.session.style(n.session.Out())
	var head, middle, tail []string
	head = append(head,
		y.strong(strings.TrimSpace(s.app.Name+" "+version(s.app)))+" dev: no authentication, one node", "",
		row("NATS", info.NATS, gaveWay(n.config.nats, info.NATS)),
		row("HTTP", info.HTTP+" /livez /readyz /metrics", gaveWay(n.config.http, info.HTTP)))
	if info.Data == "" {
		head = append(head, row("Data", "in memory: "+info.Durability, "keep it: --data DIR"))
	} else {
		head = append(head, row("Data", info.Data+": "+info.Durability, ""))
	}
	for _, a := range s.app.Aggregates {
		middle = append(middle, row(a.TypeName(), fmt.Sprintf("%d commands, %d events", len(a.CommandNames()), len(a.EventNames())), ""))
	}
	if len(info.Views) > 0 {
		tail = append(tail, row("Views", strings.Join(info.Views, ", "), ""))
	}
	tail = append(tail, row("Ready", fmt.Sprintf("in %d ms", info.ReadyMS), ""))
	if try := n.try(info); try != "" {
		tail = append(tail, "", row("Try", try, ""))
	}
	if most := bannerLines - len(head) - len(tail); len(middle) > most {
		middle = append(middle[:most-1], row("…", fmt.Sprintf("and %d more aggregates", len(middle)-most+1), ""))
	}
	return strings.Join(append(append(head, middle...), tail...), "\n") + "\n"
}

// row is a line of the banner; the note stands in parentheses.
func row(name, value, note string) string {
	if note != "" {
		note = "   (" + note + ")"
	}
	return fmt.Sprintf("  %-12s %s%s", name, value, note)
}

// gaveWay says that a default address was taken, if it was.
func gaveWay(wanted address, got string) string {
	if wanted.port == 0 || strings.HasSuffix(got, fmt.Sprintf(":%d", wanted.port)) {
		return ""
	}
	return fmt.Sprintf("%d is taken, so a free port", wanted.port)
}

// try is the line to try: the application's, else one for the first aggregate.
// It names namespace and server where they are not the default ones.
func (n *devNode) try(info devInfo) string {
	app := n.session.app
	line := app.Try
	if line == "" && len(app.Aggregates) > 0 {
		a := app.Aggregates[0]
		line = fmt.Sprintf("nats req %s.cmd.%s.1.%s '{}'", app.Name, a.TypeName(), cmp.Or(a.CommandNames()...))
	}
	line = strings.ReplaceAll(line, " "+app.Name+".cmd.", " "+info.Namespace+".cmd.")
	if rest, is := strings.CutPrefix(line, "nats "); is && info.NATS != "nats://"+defaultNATS {
		line = "nats -s " + info.NATS + " " + rest
	}
	return line
}

// warn tells what may surprise an operator later.
func (n *devNode) warn() {
	for flag, a := range map[string]address{"nats": n.config.nats, "http": n.config.http} {
		if a.public() {
			n.session.logger.Warn("other machines may connect, and nothing asks them for credentials", "flag", "--"+flag, "address", a.String())
		}
	}
}

// sayStopping answers the signal, so that nobody thinks it was not heard.
func (n *devNode) sayStopping() {
	if isTerminal(n.session.Err()) {
		fmt.Fprintln(n.session.Err(), "stopping: finishing what was taken in (Ctrl-C again stops at once)")
		return
	}
	n.session.logger.Info("stopping: finishing what was taken in")
}
