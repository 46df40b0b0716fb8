package io.github.superlens.ui;

import java.awt.BorderLayout;
import java.awt.Dimension;
import java.awt.FlowLayout;
import java.awt.GridBagConstraints;
import java.awt.GridBagLayout;
import java.awt.Insets;
import java.awt.event.ActionEvent;
import java.awt.event.KeyEvent;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import javax.swing.AbstractAction;
import javax.swing.BorderFactory;
import javax.swing.JButton;
import javax.swing.JComponent;
import javax.swing.JDialog;
import javax.swing.JLabel;
import javax.swing.JPanel;
import javax.swing.JScrollPane;
import javax.swing.JToggleButton;
import javax.swing.KeyStroke;

import ij.ImageJ;
import ij.IJ;
import ij.ImagePlus;
import io.github.superlens.core.CommandSpec;
import io.github.superlens.core.MacroOptions;
import io.github.superlens.core.ParamSpec;
import io.github.superlens.core.Values;
import io.github.superlens.engine.EngineException;

/**
 * Asks for the values of a command: one row for each parameter, those that most users leave alone folded away, and below what the run will
 * cost. OK answers only when the values can be read; what is wrong is said in the dialog.
 */
final class ParamDialog {

	private static final int ADVANCED_HEIGHT = 260;
	private static final int LEAST_WIDTH = 400;

	private final CommandSpec spec;
	private final Map<String, Field> fields = new LinkedHashMap<>();
	private final JDialog dialog;
	private final JLabel verdict = new JLabel(" ");
	private final Forecast forecast;
	private Values answer;

	private ParamDialog(CommandSpec spec, ImagePlus image) {
		this.spec = spec;
		final ImageJ ij = IJ.getInstance();
		dialog = new JDialog(ij, spec.label().replace("...", ""), true);
		for (final ParamSpec param : spec.params()) fields.put(param.key(), new Field(spec, param, image));
		forecast = new Forecast(spec, image, this::options, verdict);
		dialog.setContentPane(content());
		fields.values().forEach(field -> field.onChange(forecast::ask));
		dialog.setDefaultCloseOperation(JDialog.DISPOSE_ON_CLOSE);
		dialog.pack();
		dialog.setLocationRelativeTo(ij);
	}

	/**
	 * Shows the dialog and waits for the answer.
	 *
	 * @param image where fields take their first values from; may be null
	 * @return the values; null when the user does not want to
	 */
	static Values ask(CommandSpec spec, ImagePlus image) {
		final Values[] answer = new Values[1];
		Swing.now(() -> {
			final ParamDialog asked = new ParamDialog(spec, image);
			asked.forecast.ask();
			asked.dialog.setVisible(true);
			asked.forecast.close();
			answer[0] = asked.answer;
		});
		return answer[0];
	}

	private JPanel content() {
		final JPanel center = new JPanel(new BorderLayout(8, 8));
		center.add(rows(false), BorderLayout.NORTH);
		if (spec.params().stream().anyMatch(ParamSpec::advanced)) center.add(advanced(), BorderLayout.CENTER);
		final JPanel middle = new JPanel(new BorderLayout(8, 8));
		middle.add(center, BorderLayout.CENTER);
		if (spec.param("na") != null) middle.add(forecast.picture(), BorderLayout.EAST);
		final int width = Math.max(LEAST_WIDTH, middle.getPreferredSize().width);
		forecast.width(width);
		final JPanel foot = new JPanel(new BorderLayout());
		verdict.setBorder(BorderFactory.createEmptyBorder(4, 0, 4, 0));
		foot.add(verdict, BorderLayout.NORTH);
		foot.add(buttons(), BorderLayout.SOUTH);
		final JPanel all = new JPanel(new BorderLayout(8, 8));
		all.setBorder(BorderFactory.createEmptyBorder(12, 12, 6, 12));
		all.add(new JLabel(Forecast.html(spec.help(), width)), BorderLayout.NORTH);
		all.add(middle, BorderLayout.CENTER);
		all.add(foot, BorderLayout.SOUTH);
		return all;
	}

	private JPanel rows(boolean advanced) {
		final JPanel rows = new JPanel(new GridBagLayout());
		final GridBagConstraints at = new GridBagConstraints();
		at.insets = new Insets(2, 2, 2, 6);
		at.gridy = 0;
		for (final Field field : fields.values()) {
			if (field.param().advanced() != advanced) continue;
			at.gridx = 0;
			at.weightx = 0;
			at.anchor = GridBagConstraints.LINE_END;
			rows.add(new JLabel(field.label()), at);
			at.gridx = 1;
			at.weightx = 1;
			at.anchor = GridBagConstraints.LINE_START;
			rows.add(field.component(), at);
			at.gridy++;
		}
		return rows;
	}

	private JComponent advanced() {
		final JScrollPane folded = new JScrollPane(rows(true));
		folded.setVisible(false);
		folded.setPreferredSize(new Dimension(folded.getPreferredSize().width + 24, Math.min(ADVANCED_HEIGHT, folded.getPreferredSize().height)));
		folded.getVerticalScrollBar().setUnitIncrement(16);
		final JToggleButton toggle = new JToggleButton("Advanced \u25b8");
		toggle.addActionListener(event -> {
			folded.setVisible(toggle.isSelected());
			toggle.setText(toggle.isSelected() ? "Advanced \u25be" : "Advanced \u25b8");
			dialog.pack();
		});
		final JPanel line = new JPanel(new FlowLayout(FlowLayout.LEFT, 0, 0));
		line.add(toggle);
		final JPanel panel = new JPanel(new BorderLayout(0, 4));
		panel.add(line, BorderLayout.NORTH);
		panel.add(folded, BorderLayout.CENTER);
		return panel;
	}

	private JPanel buttons() {
		final JButton ok = new JButton("OK");
		final JButton cancel = new JButton("Cancel");
		ok.addActionListener(event -> accept());
		cancel.addActionListener(event -> dialog.dispose());
		dialog.getRootPane().setDefaultButton(ok);
		dialog.getRootPane().getInputMap(JComponent.WHEN_IN_FOCUSED_WINDOW).put(KeyStroke.getKeyStroke(KeyEvent.VK_ESCAPE, 0), "cancel");
		dialog.getRootPane().getActionMap().put("cancel", new AbstractAction() {

			private static final long serialVersionUID = 1L;

			@Override
			public void actionPerformed(ActionEvent event) {
				dialog.dispose();
			}
		});
		final JPanel row = new JPanel(new FlowLayout(FlowLayout.RIGHT));
		final List<JButton> order = new ArrayList<>();
		order.add(ok);
		order.add(cancel);
		order.forEach(row::add);
		return row;
	}

	private void accept() {
		try {
			answer = Values.read(spec, options());
		}
		catch (EngineException wrong) {
			forecast.refuse(wrong.getMessage());
			dialog.pack();
			return;
		}
		fields.values().forEach(Field::remember);
		dialog.dispose();
	}

	private MacroOptions options() {
		final Map<String, String> options = new LinkedHashMap<>();
		for (final Field field : fields.values()) {
			final String text = field.text();
			if (!text.isEmpty()) options.put(field.param().key(), text);
		}
		return MacroOptions.of(options);
	}
}
