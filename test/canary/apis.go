//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/annals-go/annals/projector"
)

// answered makes a request and returns status and answer.
func answered(request *http.Request) (int, []byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

func (t *site) overHTTP(ctx context.Context, n *member, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+path, nil)
	if err != nil {
		return nil, err
	}
	status, text, err := answered(request)
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		err = fmt.Errorf("GET %s: status %d: %s", path, status, text)
	}
	return text, err
}

// askAboutAll writes down what is told of everybody at once: lists and watches of views,
// exports, dead letters, and what is held about some of the forgotten.
func (t *site) askAboutAll(ctx context.Context) error {
	for _, view := range t.views() {
		if view == "register" {
			continue // a table has no lists
		}
		var list bytes.Buffer
		for d, err := range t.List(ctx, view, 0) {
			if err != nil {
				return fmt.Errorf("list %s: %w", view, err)
			}
			if err := json.NewEncoder(&list).Encode(d); err != nil {
				return err
			}
		}
		watched, err := t.watch(ctx, view)
		if err = errors.Join(err, t.stage.keep(t.name+" list "+view, list.Bytes()), t.stage.keep(t.name+" watch "+view, watched)); err != nil {
			return err
		}
	}
	if err := t.askOverHTTP(ctx); err != nil {
		return err
	}
	return t.askByCommand(ctx)
}

// askByCommand runs the commands that show what is kept.
func (t *site) askByCommand(ctx context.Context) error {
	commands := [][]string{{"event", "export"}, {"dlq", "ls"}, {"dlq", "export"}, {"subject", "ls", "--forgotten"}, {"projection", "ls"}, {"event", "export", "--cloudevents"}, {"audit", "ls"}, {"keys", "ls"}, {"view", "ls", "people"}}
	const exported = 5
	for _, p := range t.stage.doomed()[:min(exported, t.stage.options.forget)] {
		commands = append(commands, []string{"subject", "export", p.id}, []string{"aggregate", "get", "person", p.id}, []string{"aggregate", "history", "person", p.id})
	}
	for _, c := range commands {
		if _, err := t.run(ctx, c...); err != nil { // which keeps what they print
			return err
		}
	}
	return t.exportRows(ctx)
}

// exportRows sees to it that the tables tell of one who is not forgotten, and of no one who is.
func (t *site) exportRows(ctx context.Context) error {
	if !t.tables() {
		return nil
	}
	living := slices.IndexFunc(t.stage.persons, func(p *person) bool { return !p.doomed })
	for _, p := range []*person{t.stage.persons[living], t.stage.doomed()[0]} {
		out, err := t.run(ctx, "subject", "export", p.id)
		if err != nil {
			return err
		}
		if bytes.Contains(out, []byte(`"kind":"row","view":"register"`)) == p.doomed || bytes.Contains(out, []byte(`"kind":"untold"`)) {
			return fmt.Errorf("the export of a person of %s, forgotten: %v, has the wrong rows of tables", t.name, p.doomed)
		}
	}
	return nil
}

// watchPatience is how long a watch goes on without anything new.
const watchPatience = 2 * time.Second

// watch returns what a watch of a view tells first.
func (t *site) watch(ctx context.Context, view string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(watchPatience, cancel)
	defer quiet.Stop()
	var all bytes.Buffer
	for d, err := range t.Watch(ctx, view, projector.Watch{}) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", view, err)
		}
		quiet.Reset(watchPatience)
		if err := json.NewEncoder(&all).Encode(d); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}

// askOverHTTP writes down what each node tells over HTTP of everybody at once.
func (t *site) askOverHTTP(ctx context.Context) error {
	for _, n := range t.nodes {
		for _, path := range []string{"/metrics", "/readyz", "/v1/info", "/v1/projections", "/v1/views/people?limit=500", "/v1/views/letters", "/v1/views/troubled"} {
			text, err := t.overHTTP(ctx, n, path)
			if err = errors.Join(err, t.stage.keep(t.name+" HTTP "+path, text)); err != nil {
				return err
			}
		}
	}
	text, err := t.watchOverHTTP(ctx, t.nodes[0], "/v1/watch/people")
	return errors.Join(err, t.stage.keep(t.name+" HTTP watch", text))
}

// watchOverHTTP returns what a watch tells first.
func (t *site) watchOverHTTP(ctx context.Context, n *member, path string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+path, nil)
	if err != nil {
		return nil, err
	}
	quiet := time.AfterFunc(askPatience, cancel)
	defer quiet.Stop()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", path, response.StatusCode)
	}
	quiet.Reset(watchPatience)
	var all bytes.Buffer
	for part := make([]byte, 64<<10); ; {
		read, err := response.Body.Read(part)
		all.Write(part[:read])
		if err != nil {
			break // it is quiet, and was ended
		}
		quiet.Reset(watchPatience)
	}
	if all.Len() == 0 {
		return nil, fmt.Errorf("GET %s: nothing is told", path)
	}
	return all.Bytes(), nil
}
