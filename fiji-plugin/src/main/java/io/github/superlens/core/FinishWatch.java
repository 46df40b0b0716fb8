package io.github.superlens.core;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Json;
import io.github.superlens.engine.Progress;
import io.github.superlens.engine.Reply;
import io.github.superlens.engine.Version;

/** While a call is going on, passes on the wish to stop learning and keep what is learned. Closing it ends the watch. */
final class FinishWatch implements AutoCloseable {

	private static final long POLL_MS = 100;

	private final Engine engine;
	private final String run;
	private final Progress progress;
	private final Thread thread = new Thread(this::watch, "superlens finish");
	private volatile boolean over;

	FinishWatch(Engine engine, String run, Progress progress) {
		this.engine = engine;
		this.run = run;
		this.progress = progress;
		thread.setDaemon(true);
		thread.start();
	}

	@Override
	public void close() {
		over = true;
		thread.interrupt();
	}

	private void watch() {
		try {
			while (!over && !(progress.isFinishRequested() && heard())) Thread.sleep(POLL_MS);
		}
		catch (InterruptedException closed) {
			Thread.currentThread().interrupt();
		}
		catch (EngineException lost) {
			progress.update("the engine did not hear \"Finish now\"", 0, 0, null);
		}
	}

	/** Whether the engine took notice; it cannot before the call has reached it. */
	private boolean heard() throws EngineException {
		final Reply reply = Reply.read(engine.call(Json.write(request()), new ByteBuffer[0], new ByteBuffer[0], Progress.SILENT));
		return Boolean.TRUE.equals(reply.info().get("heard"));
	}

	private Map<String, Object> request() {
		final Map<String, Object> request = new LinkedHashMap<>();
		request.put("schema", Version.SCHEMA);
		request.put("verb", "finish");
		request.put("run", run);
		return request;
	}
}
