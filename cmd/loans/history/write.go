package history

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// Write writes traces as an XES file that [Read] reads back. It writes as the
// traces come and holds one at a time. The error is that of w.
func Write(w io.Writer, traces iter.Seq[*Trace]) error {
	x := &writer{out: bufio.NewWriterSize(w, 64<<10)}
	x.print(fileHead)
	for t := range traces {
		x.trace(t)
		if x.err != nil {
			return x.err
		}
	}
	x.print("</log>\n")
	return x.flush()
}

const fileHead = `<?xml version="1.0" encoding="UTF-8" ?>
<log xes.version="1.0" xes.features="nested-attributes" xmlns="http://www.xes-standard.org/">
	<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
	<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
	<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
	<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
	<global scope="trace">
		<date key="REG_DATE" value="1970-01-01T00:00:00.000+00:00"/>
		<string key="AMOUNT_REQ" value="UNKNOWN"/>
		<string key="concept:name" value="UNKNOWN"/>
	</global>
	<global scope="event">
		<date key="time:timestamp" value="1970-01-01T00:00:00.000+00:00"/>
		<string key="lifecycle:transition" value="UNKNOWN"/>
		<string key="concept:name" value="UNKNOWN"/>
	</global>
	<classifier name="Activity classifier" keys="concept:name lifecycle:transition"/>
	<classifier name="Resource classifier" keys="org:resource"/>
`

// timeLayout has milliseconds, as the bank's own file.
const timeLayout = "2006-01-02T15:04:05.000-07:00"

// writer keeps its first error and then writes nothing.
type writer struct {
	out *bufio.Writer
	err error
}

func (w *writer) trace(t *Trace) {
	w.print("\t<trace>\n")
	if len(t.Events) > 0 {
		w.attribute("\t\t", "date", "REG_DATE", t.Events[0].Time.Format(timeLayout))
	}
	w.attribute("\t\t", "string", "concept:name", t.Application)
	w.attribute("\t\t", "string", "AMOUNT_REQ", strconv.FormatInt(t.Amount, 10))
	for _, e := range t.Events {
		w.event(e)
	}
	w.print("\t</trace>\n")
}

func (w *writer) event(e Event) {
	w.print("\t\t<event>\n")
	if e.Employee != "" {
		w.attribute("\t\t\t", "string", "org:resource", e.Employee)
	}
	w.attribute("\t\t\t", "string", "lifecycle:transition", e.Step)
	w.attribute("\t\t\t", "string", "concept:name", e.Activity)
	w.attribute("\t\t\t", "date", "time:timestamp", e.Time.In(time.UTC).Format(timeLayout))
	w.print("\t\t</event>\n")
}

func (w *writer) attribute(indent, kind, key, value string) {
	w.print(indent, "<", kind, ` key="`, key, `" value="`)
	if w.err == nil {
		w.err = xml.EscapeText(w.out, []byte(value))
	}
	w.print("\"/>\n")
}

func (w *writer) print(texts ...string) {
	for _, text := range texts {
		if w.err == nil {
			_, w.err = w.out.WriteString(text)
		}
	}
}

func (w *writer) flush() error {
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err != nil {
		return fmt.Errorf("write history: %w", w.err)
	}
	return nil
}
