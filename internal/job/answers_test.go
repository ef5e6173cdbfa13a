package job

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswersAreAsManyAsQuestionsAndNoneIsEmpty(t *testing.T) {
	list := `["Which market?","How much?"]`
	for answers, says := range map[string]string{
		`["France","a million"]`: "",
		`["France",{"eur":1}]`:   "",
		`["France",0]`:           "",
		`["France"]`:             "2 questions and there are 1",
		`["France","a","b"]`:     "2 questions and there are 3",
		`["France"," "]`:         "answer 2 is empty",
		`["France",null]`:        "answer 2 is empty",
		`["France",[]]`:          "answer 2 is empty",
		`"France"`:               "give a list of 2",
		`{"market":"France"}`:    "give a list of 2",
		``:                       "empty",
		`null`:                   "empty",
		`[ ]`:                    "empty",
		`{}`:                     "empty",
		`" "`:                    "empty",
		`nonsense`:               "empty",
		`["` + strings.Repeat("x", MaxAnswers) + `"]`: "at most 20480",
	} {
		err := CheckAnswers([]byte(list), []byte(answers))
		if says == "" {
			require.NoError(t, err, answers)
			continue
		}
		require.ErrorIs(t, err, ErrBadAnswers, answers)
		require.ErrorContains(t, err, says)
	}
	require.NoError(t, CheckAnswers([]byte(`{"market":"Which?"}`), []byte(`{"market":"France"}`)), "other questions are between the job and its owner")
	require.NoError(t, CheckAnswers(nil, []byte(`"yes"`)))
	require.Error(t, CheckAnswers([]byte(`{"market":"Which?"}`), []byte(`{}`)))
}
