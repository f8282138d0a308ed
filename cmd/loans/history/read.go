package history

import (
	"bufio"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// Limits of what a reader holds in memory, so that no file, however large or
// ill-meant, takes more than its longest trace and the numbers of its
// applications.
const (
	// MaxEvents is the largest number of events in one trace.
	MaxEvents = 10_000
	// MaxApplications is the largest number of traces in one file.
	MaxApplications = 5_000_000
	// maxNumberBytes is the longest application number: a command id holds it.
	maxNumberBytes = 100
	// maxTokenBytes is the longest tag, text or comment.
	maxTokenBytes = 1 << 20
	// maxDepth is how deep elements may be nested.
	maxDepth = 32
)

// FormatError says where a file is not a history of loan applications.
type FormatError struct {
	// Line is where in the file, from 1.
	Line int
	// Application is the number of the trace's application, if it was read yet.
	Application string
	// Err is what is wrong.
	Err error
}

func (e *FormatError) Error() string {
	if e.Application == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d, application %s: %v", e.Line, e.Application, e.Err)
}

// Unwrap returns what is wrong.
func (e *FormatError) Unwrap() error { return e.Err }

// Read yields the traces of an XES file, plain or compressed with gzip, as it
// reads them. The traces belong to the caller. The last pair has the error, if
// any, a [*FormatError]; traces before it have been yielded. Two traces of one
// application are such an error: which came first would be a guess.
func Read(file io.Reader) iter.Seq2[*Trace, error] {
	return func(yield func(*Trace, error) bool) {
		r := &reader{lines: map[string]int{}}
		err := r.open(file)
		if err == nil {
			err = r.file(func(t *Trace) bool { return yield(t, nil) })
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, r.where(err))
		}
	}
}

// errStopped ends the reading when the caller wants no more.
var errStopped = errors.New("stopped")

type reader struct {
	budget budget
	xml    *xml.Decoder
	depth  int
	trace  *Trace         // the trace being read, nil between two
	lines  map[string]int // where each application's trace begins
}

func (r *reader) open(file io.Reader) error {
	plain := bufio.NewReaderSize(file, 64<<10)
	if magic, _ := plain.Peek(2); string(magic) == "\x1f\x8b" {
		unzip, err := gzip.NewReader(plain)
		if err != nil {
			return err
		}
		plain = bufio.NewReaderSize(unzip, 64<<10)
	}
	r.budget.Reader = plain
	r.xml = xml.NewDecoder(&r.budget)
	return nil
}

// where adds the place to an error that has none.
func (r *reader) where(err error) error {
	if _, ok := errors.AsType[*FormatError](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	line := 1
	if r.xml != nil {
		line, _ = r.xml.InputPos()
	}
	if bad, ok := errors.AsType[*xml.SyntaxError](err); ok {
		line, err = bad.Line, errors.New("not XML: "+bad.Msg)
	}
	return r.wrong(line, err)
}

func (r *reader) wrong(line int, err error) error {
	e := &FormatError{Line: line, Err: err}
	if r.trace != nil {
		e.Application = r.trace.Application
	}
	return e
}

// file reads the whole file, to its last byte: only there does gzip say whether
// what it gave was what was compressed.
func (r *reader) file(yield func(*Trace) bool) error {
	for found := false; ; {
		token, err := r.next()
		if found && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if found || start.Name.Local != "log" {
			return fmt.Errorf("the file has <%s> where an XES file has nothing but one <log>", start.Name.Local)
		}
		if err := r.log(yield); err != nil {
			return err
		}
		found = true
	}
}

func (r *reader) log(yield func(*Trace) bool) error {
	return r.children(func(child xml.StartElement) error {
		if child.Name.Local != "trace" {
			return r.skip()
		}
		t, err := r.readTrace()
		if err == nil && !yield(t) {
			err = errStopped
		}
		return err
	})
}

func (r *reader) readTrace() (*Trace, error) {
	t := &Trace{}
	t.Line, _ = r.xml.InputPos()
	r.trace = t
	amount := ""
	err := r.children(func(child xml.StartElement) error {
		if child.Name.Local == "event" {
			return r.readEvent()
		}
		switch key, value := attribute(child); key {
		case "concept:name":
			t.Application = value
		case "AMOUNT_REQ":
			amount = value
		}
		return r.skip()
	})
	if err != nil {
		return nil, err
	}
	if t.Amount, err = strconv.ParseInt(amount, 10, 64); err != nil {
		return nil, r.wrong(t.Line, fmt.Errorf("AMOUNT_REQ %.40q is not a whole number of euro", amount))
	}
	if err := r.remember(t); err != nil {
		return nil, r.wrong(t.Line, err)
	}
	r.trace = nil
	return t, nil
}

func (r *reader) remember(t *Trace) error {
	line, twice := r.lines[t.Application]
	switch {
	case t.Application == "":
		return errors.New("the trace has no concept:name, the application's number")
	case len(t.Application) > maxNumberBytes:
		return fmt.Errorf("the application's number is longer than %d bytes", maxNumberBytes)
	case twice:
		return fmt.Errorf("a second trace of the application, the first is in line %d", line)
	case len(r.lines) == MaxApplications:
		return fmt.Errorf("more than %d applications", MaxApplications)
	}
	r.lines[t.Application] = t.Line
	return nil
}

func (r *reader) readEvent() error {
	var e Event
	e.Line, _ = r.xml.InputPos()
	moment := ""
	err := r.children(func(child xml.StartElement) error {
		switch key, value := attribute(child); key {
		case "concept:name":
			e.Activity = value
		case "lifecycle:transition":
			e.Step = value
		case "org:resource":
			e.Employee = value
		case "time:timestamp":
			moment = value
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, moment); err != nil {
		return r.wrong(e.Line, fmt.Errorf("time:timestamp %.40q is not a time with its zone", moment))
	}
	e.Time = e.Time.UTC()
	switch {
	case e.Activity == "":
		return r.wrong(e.Line, errors.New("the event has no concept:name"))
	case e.Step == "":
		return r.wrong(e.Line, errors.New("the event has no lifecycle:transition"))
	case len(r.trace.Events) == MaxEvents:
		return r.wrong(e.Line, fmt.Errorf("more than %d events in one trace", MaxEvents))
	}
	r.trace.Events = append(r.trace.Events, e)
	return nil
}

// attribute returns the key and the value of an attribute of XES, which is an
// element with two attributes of XML.
func attribute(e xml.StartElement) (key, value string) {
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "key":
			key = a.Value
		case "value":
			value = a.Value
		}
	}
	return key, value
}
