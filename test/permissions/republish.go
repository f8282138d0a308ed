//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a stream's settings have its server do stands in the body of a request, which no permission looks at: so
// it is tried with streams that publish once more, as another, what is stored in them.

const (
	asAnother = "loans.as.petra.ctl.subject.forget"
	intoLog   = "loans.evt.3.application.1"
	ofBuild   = "$KV.ANNALS_loans_view_outcomes_v1_b3.x"
	buildMade = "$JS.API.STREAM.CREATE.KV_ANNALS_loans_view_outcomes_v1_b3"
)

// asksAsAnother reports whether what p1 stores in a stream of its own gets to the nodes as petra's.
func (s *stage) asksAsAnother() (bool, error) {
	node, err := s.connect("n1")
	if err != nil {
		return false, err
	}
	defer node.Close()
	sub, err := node.SubscribeSync("loans.as.>")
	if err == nil {
		err = node.Flush()
	}
	if err != nil {
		return false, err
	}
	if stored, err := s.storesFor(asAnother); err != nil || !stored {
		return false, err
	}
	m, err := sub.NextMsg(patience)
	if errors.Is(err, nats.ErrTimeout) {
		return false, nil
	}
	return err == nil && m.Subject == asAnother, err
}

// writesIntoLog reports whether it gets into the log, which pat makes if nobody has yet.
func (s *stage) writesIntoLog() (bool, error) {
	pat, err := s.connect("pat")
	if err != nil {
		return false, err
	}
	defer pat.Close()
	made := jetstream.StreamConfig{Name: "ANNALS_loans_events", Subjects: []string{"loans.evt.>"}, AllowDirect: true}
	if _, err := askStream(pat, "$JS.API.STREAM.CREATE."+made.Name, made); err != nil && !errors.Is(err, errThere) {
		return false, err
	}
	last := func() ([]byte, error) {
		m, err := pat.Request("$JS.API.STREAM.MSG.GET."+made.Name, []byte(`{"last_by_subj": "`+intoLog+`"}`), patience)
		if err != nil {
			return nil, err
		}
		return m.Data, nil
	}
	before, err := last()
	if err != nil {
		return false, err
	}
	if stored, err := s.storesFor(intoLog); err != nil || !stored {
		return false, err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-again.C {
		if now, err := last(); err != nil || !bytes.Equal(now, before) {
			return err == nil, err
		}
	}
	return false, nil
}

// storesFor has p1 make a build's bucket that publishes under a subject, and store something there. It reports
// whether it may.
func (s *stage) storesFor(dest string) (bool, error) {
	nc, err := s.connect("p1")
	if err != nil {
		return false, err
	}
	defer nc.Close()
	made, err := askStream(nc, buildMade, jetstream.StreamConfig{
		Name: "KV_ANNALS_loans_view_outcomes_v1_b3", Subjects: []string{ofBuild}, Storage: jetstream.MemoryStorage,
		RePublish: &jetstream.RePublish{Source: ofBuild, Destination: dest},
	})
	if err != nil || !made {
		return false, err
	}
	if _, err := nc.Request(ofBuild, []byte(`{"subject": "c-10", "why": "mischief"}`), patience); err != nil {
		return false, err
	}
	_, err = nc.Request("$JS.API.STREAM.DELETE.KV_ANNALS_loans_view_outcomes_v1_b3", nil, patience)
	return true, err
}

// errThere says that there is such a stream, made otherwise.
var errThere = errors.New("there is one")

// askStream asks for a stream, and reports whether the user may.
func askStream(nc *nats.Conn, subject string, config jetstream.StreamConfig) (bool, error) {
	body, err := json.Marshal(config)
	if err != nil {
		return false, err
	}
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err == nil {
		err = errors.Join(nc.PublishRequest(subject, inbox, body), nc.Flush())
	}
	if err != nil {
		return false, err
	}
	if last := nc.LastError(); last != nil && strings.Contains(last.Error(), fmt.Sprintf("Permissions Violation for Publish to %q", subject)) {
		return false, nil
	}
	m, err := sub.NextMsg(patience)
	if err != nil {
		return false, err
	}
	var answer struct {
		Error *struct {
			Code int `json:"err_code"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err != nil:
		return false, err
	case answer.Error == nil:
		return true, nil
	case answer.Error.Code == streamThere:
		return true, errThere
	}
	return true, fmt.Errorf("%s: %s", subject, m.Data)
}

// streamThere is the server's number for it.
const streamThere = 10058
