package io.github.superlens.engine;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;

/** The engine of the Python that started this Java machine. Turns whatever escapes from Python into an {@link EngineException}. */
final class InProcess implements Engine {

	private final Engine python;

	InProcess(Engine python) {
		this.python = python;
	}

	@Override
	public String call(String requestJson, ByteBuffer[] in, ByteBuffer[] out, Progress progress) throws EngineException {
		final String reply;
		try {
			reply = python.call(requestJson, in, out, progress);
		}
		catch (RuntimeException | Error escaped) {
			throw new EngineException(EngineException.Kind.DEFECT, "Python failed without an answer: " + escaped.getMessage(), trace(escaped));
		}
		if (reply == null) throw new EngineException(EngineException.Kind.DEFECT, "Python gave no answer.", "");
		return reply;
	}

	@Override
	public String describe() {
		return python.describe();
	}

	@Override
	public void close() {
		python.close();
	}

	private static String trace(Throwable escaped) {
		final StringWriter text = new StringWriter();
		escaped.printStackTrace(new PrintWriter(text, true));
		return text.toString();
	}
}
