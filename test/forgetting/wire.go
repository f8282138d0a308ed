//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// message is one operation of the NATS protocol, as it is on the wire.
type message struct {
	raw     []byte
	verb    string
	subject string // of what is published or delivered
	reply   string
	// status says that it has headers that begin with a status, such as "no responders".
	status  bool
	payload []byte // behind the headers
}

// maxPayload bounds a message; servers allow a megabyte.
const maxPayload = 8 << 20

// readMessage reads the next operation of either side.
func readMessage(r *bufio.Reader) (message, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return message{}, err
	}
	m := message{raw: line}
	words := bytes.Fields(line)
	if len(words) == 0 {
		return m, nil
	}
	m.verb = string(bytes.ToUpper(words[0]))
	before := map[string]int{"PUB": 1, "HPUB": 1, "MSG": 2, "HMSG": 2}[m.verb] // words before the optional reply, behind the verb
	if before == 0 {
		return m, nil
	}
	return m, m.readBody(r, words[1:], before)
}

// readBody reads what follows the line. Its words are the subject, what is behind it, maybe a
// reply, the size of the headers if there are any, and the size of all.
func (m *message) readBody(r *bufio.Reader, words [][]byte, before int) error {
	sizes := 1
	if m.verb[0] == 'H' {
		sizes = 2
	}
	if len(words) < before+sizes || len(words) > before+sizes+1 {
		return fmt.Errorf("a line of %d words: %q", len(words), m.raw)
	}
	m.subject = string(words[0])
	if len(words) > before+sizes {
		m.reply = string(words[before])
	}
	all, err := strconv.Atoi(string(words[len(words)-1]))
	if err != nil || all < 0 || all > maxPayload {
		return fmt.Errorf("a line without a size: %q", m.raw)
	}
	headers := 0
	if sizes > 1 {
		if headers, err = strconv.Atoi(string(words[len(words)-2])); err != nil || headers < 0 || headers > all {
			return fmt.Errorf("a line without a size of its headers: %q", m.raw)
		}
	}
	body := make([]byte, all+len("\r\n"))
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	m.raw = append(m.raw, body...)
	m.status = bytes.HasPrefix(body[:headers], []byte("NATS/1.0 "))
	m.payload = body[headers:all]
	return nil
}
