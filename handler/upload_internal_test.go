package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadErrorSaysItsKindOnce(t *testing.T) {
	odd := errors.New("odd")
	for cause, kind := range map[error]error{
		fmt.Errorf("%w: it has more than 3 bytes", errBodyLength): errBodyLength,
		&http.MaxBytesError{Limit: 3}:                             errBodyTooLarge,
		os.ErrDeadlineExceeded:                                    errClientSlow,
		io.ErrUnexpectedEOF:                                       errClientGone,
		odd:                                                       errBadUpload,
	} {
		err := readError(readError(cause))
		require.ErrorIs(t, err, kind)
		require.ErrorIs(t, err, cause)
		require.Equal(t, 1, strings.Count(err.Error(), kind.Error()), err)
	}
}

func TestExplanationSaysOnceThatTheClientHasGone(t *testing.T) {
	failed := fmt.Errorf("%w: connection reset by peer", errClientGone)
	require.Equal(t, failed, new(upstream).explain(failed, context.Canceled))
}
