package gateway

import "github.com/annals-go/annals/projector"

// Types of the answers to operations on views; they are permanent too.
const (
	typeProjection   = "io.annals.api.v1.projection_info_response"
	typeModel        = "io.annals.api.v1.projection_rebuild_response"
	typeVerification = "io.annals.api.v1.projection_verify_response"
	typeLetters      = "io.annals.api.v1.dlq_ls_response"
	typeLetter       = "io.annals.api.v1.dlq_get_response"
	typeReleased     = "io.annals.api.v1.dlq_retry_response"
	typeSkipped      = "io.annals.api.v1.dlq_skipped_response"
)

// Projection is a view as its node has it.
type Projection struct {
	View string `json:"view"`
	// Node is the name of the node that runs it.
	Node string `json:"node"`
	// Models are its read models, the live one among them.
	Models []projector.Status `json:"models"`
}

type projectionResponse struct {
	Type string `json:"type"`
	Projection
}

type modelResponse struct {
	Type string `json:"type"`
	projector.Model
}

type verificationResponse struct {
	Type string `json:"type"`
	projector.Verification
}

// lettersResponse is a page; an empty Next ends the list.
type lettersResponse struct {
	Type    string                 `json:"type"`
	Letters []projector.DeadLetter `json:"letters"`
	Next    string                 `json:"next"`
}

// LetterEvent is an event that waits in a dead letter.
type LetterEvent struct {
	projector.LetterEvent
	// Omitted is set when the data are absent because they are too large for an
	// answer.
	Omitted bool `json:"omitted,omitempty"`
}

type letterResponse struct {
	Type   string               `json:"type"`
	Letter projector.DeadLetter `json:"letter"`
	Events []LetterEvent        `json:"events"`
}

// releasedResponse says what became of a dead letter: the stream is not parked
// any more, or Letter is what it waits at now.
type releasedResponse struct {
	Type     string                `json:"type"`
	Released bool                  `json:"released"`
	Letter   *projector.DeadLetter `json:"letter,omitempty"`
}

type skippedResponse struct {
	Type    string              `json:"type"`
	Skipped []projector.Skipped `json:"skipped"`
	Next    string              `json:"next"`
}
