package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxAnswers is the most an owner may answer at once, in bytes of JSON.
const MaxAnswers = 20 << 10

// ErrBadAnswers is wrapped by every refusal of [CheckAnswers].
var ErrBadAnswers = errors.New("answers refused")

// CheckAnswers says whether answers can be what the questions ask for: as many
// as there are questions when these are a list, in a list of their own, and none
// of them empty. The error is fit for the person who answered.
func CheckAnswers(questions, answers json.RawMessage) error {
	var want, got []json.RawMessage
	switch {
	case len(answers) > MaxAnswers:
		return fmt.Errorf("%w: they have %d bytes; at most %d are allowed", ErrBadAnswers, len(answers), MaxAnswers)
	case blank(answers):
		return fmt.Errorf("%w: they are empty; answer what the job asks", ErrBadAnswers)
	case json.Unmarshal(questions, &want) != nil || want == nil:
		return nil //nolint:nilerr // questions that are no list are between the job and its owner
	case json.Unmarshal(answers, &got) != nil:
		return fmt.Errorf("%w: the job asks %d questions in a list; give a list of %d answers in the same order", ErrBadAnswers, len(want), len(want))
	case len(got) != len(want):
		return fmt.Errorf("%w: the job asks %d questions and there are %d answers; give one for each, in the same order", ErrBadAnswers, len(want), len(got))
	}
	for i, a := range got {
		if blank(a) {
			return fmt.Errorf("%w: answer %d is empty", ErrBadAnswers, i+1)
		}
	}
	return nil
}

// blank reports whether a JSON value says nothing.
func blank(raw json.RawMessage) bool {
	var text *string
	if json.Unmarshal(raw, &text) == nil {
		return text == nil || len(bytes.TrimSpace([]byte(*text))) == 0
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return true
	}
	return b.String() == "{}" || b.String() == "[]"
}

// Answering is what an owner, or somebody who may, answers a job that asks.
type Answering struct {
	ID      ID
	Answers json.RawMessage
	// Mark is the same for a retry, and different for another answer.
	Mark string
	// Who is the actor as the audit keeps it.
	Who []byte
}

// NotWaiting is returned when a job that is answered does not wait for answers.
type NotWaiting struct {
	State  State
	Reason string // why it is parked, if it is
}

func (n *NotWaiting) Error() string {
	if n.State == Parked {
		return fmt.Sprintf("the job is parked for another reason (%s); it does not wait for answers", n.Reason)
	}
	return fmt.Sprintf("the job is %s; it does not wait for answers", n.State)
}
