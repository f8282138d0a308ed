package exchange

import (
	"strconv"

	"github.com/annals-go/annals/store"
)

func newCommand(codec store.Codec, c *store.Command, withhold bool) (command, error) {
	made := command{
		ID: c.ID, Name: c.Name, BodyHash: formatHash(c.BodyHash), CorrelationID: c.CorrelationID,
		CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent, Corrects: c.Corrects,
	}
	if len(c.Data) == 0 {
		return made, nil
	}
	data, marked, err := newMarked(codec, c.Data, c.Personal, withhold)
	made.Body = &body{Schema: c.Schema, marks: marked, payload: data}
	return made, err
}

// stored returns the command as it is to be stored; it was by the codec from.
func (c *command) stored(from string, to store.Codec) (store.Command, error) {
	hash, err := parseHash(c.BodyHash)
	made := store.Command{
		ID: c.ID, Name: c.Name, BodyHash: hash, CorrelationID: c.CorrelationID,
		CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent, Corrects: c.Corrects,
	}
	if err != nil || c.Body == nil {
		return made, err
	}
	if len(c.Body.Data) == 0 {
		return made, invalidLine("body of a command", c.ID, "it has no data")
	}
	made.Schema = c.Body.Schema
	if made.Personal, err = c.Body.spans(); err != nil {
		return made, err
	}
	made.Data, err = c.Body.stored(from, to)
	return made, err
}

func formatHash(h uint64) string {
	if h == 0 {
		return ""
	}
	return strconv.FormatUint(h, 16)
}

func parseHash(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	h, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0, invalidLine("body hash of a command", text, "it is not hexadecimal")
	}
	return h, nil
}
