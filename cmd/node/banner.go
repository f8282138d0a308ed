package node

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/annals-go/annals/cmd/node/web"
)

// bannerLines is the most that a process says when it is up.
const bannerLines = 12

// banner is what a process tells people when it is up: the middle gives way
// where it would be too long.
type banner struct{ head, middle, tail []string }

func (b *banner) print(w io.Writer) error {
	if most := bannerLines - len(b.head) - len(b.tail); len(b.middle) > most {
		more := row("…", fmt.Sprintf("and %d more aggregates", len(b.middle)-most+1), "")
		b.middle = append(b.middle[:most-1], more)
	}
	lines := append(append(b.head, b.middle...), b.tail...)
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// title is the first line, and an empty one.
func (b *banner) title(s *Session, rest string) {
	name := strings.TrimSpace(s.app.Name + " " + version(s.app))
	b.head = append(b.head, s.Style(s.Out()).Strong(name)+" "+rest, "")
}

// application adds what the application has.
func (b *banner) application(app App) {
	for _, a := range app.Aggregates {
		b.middle = append(b.middle, row(a.TypeName(), fmt.Sprintf("%d commands, %d events", len(a.CommandNames()), len(a.EventNames())), ""))
	}
	if views := app.viewNames(); len(views) > 0 {
		b.tail = append(b.tail, row("Views", strings.Join(views, ", "), ""))
	}
}

// probes adds where probes and metrics are, if that is an address of their own.
func (b *banner) probes(url string) {
	if url != "" {
		b.head = append(b.head, row("Probes", url+web.Paths(false, true), ""))
	}
}

// row is a line of the banner; the note stands in parentheses.
func row(name, value, note string) string {
	if note != "" {
		note = "   (" + note + ")"
	}
	return fmt.Sprintf("  %-12s %s%s", name, value, note)
}

// gaveWay says that a default address was taken, if it was.
func gaveWay(wanted web.Address, got string) string {
	if wanted.Port == 0 || strings.HasSuffix(got, fmt.Sprintf(":%d", wanted.Port)) {
		return ""
	}
	return fmt.Sprintf("%d is taken, so a free port", wanted.Port)
}

// try is the line to try: the application's, else one for the first aggregate.
// It names namespace and server where they are not the default ones.
func (s *Session) try(server string) string {
	line := s.app.Try
	if line == "" && len(s.app.Aggregates) > 0 {
		a := s.app.Aggregates[0]
		line = fmt.Sprintf("nats req %s.cmd.%s.1.%s '{}'", s.app.Name, a.TypeName(), cmp.Or(a.CommandNames()...))
	}
	line = strings.ReplaceAll(line, " "+s.app.Name+".cmd.", " "+s.Namespace()+".cmd.")
	if rest, is := strings.CutPrefix(line, "nats "); is && server != "nats://"+defaultNATS {
		line = "nats -s " + server + " " + rest
	}
	return line
}
