package io.github.superlens.core;

import ij.ImagePlus;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;
import io.github.superlens.image.ImagePlusIO;
import io.github.superlens.image.Selection;

/** Holds the open image, a result, against a reference of the same field: numbers in a table, and a map of where they differ. */
public final class Compare implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Job job = new Job(values, host);
		if (!values.has("input")) add(job, host.image());
		add(job, OpenImages.find(values.text("reference"), host));
		final Reply reply = job.run();
		host.show("Superlens comparison", reply.columns(), reply.rows());
	}

	private static void add(Job job, ImagePlus imp) throws EngineException {
		ImagePlusIO.check(imp);
		job.with(imp, Selection.all(imp));
	}
}
